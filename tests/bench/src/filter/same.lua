-- What the Sealwax filter does for a request, as one would write it for Envoy's Lua filter: the
-- domain is read from the authority, its verdict is asked for once and then found in a table until
-- its time is over, challenges are answered by the control plane. A table for each worker, bounded
-- by starting anew.
local CHALLENGE = "/.well-known/acme-challenge/"
local ENTRIES_MAX = 16384
local verdicts, entries = {}, 0

local function domain_of(authority)
  local host = string.match(authority, "^([%w%-%.]+):?%d*$")
  if not host or #host > 253 or string.find(host, "^[%d%.]+$") then
    return nil
  end
  return string.lower(host)
end

local function ask(handle, method, path, domain)
  local headers = {[":method"] = method, [":path"] = path, [":authority"] = "sealwax",
    ["x-sealwax-host"] = domain}
  return handle:httpCall("edge", headers, "", 1000)
end

local function answer_challenge(handle, path, domain)
  local answer, body = ask(handle, "GET", "/edge/v1/challenges/" .. string.sub(path, #CHALLENGE + 1), domain)
  local status = answer[":status"]
  if status ~= "200" and status ~= "404" then
    status = "503"
  end
  handle:respond({[":status"] = status, ["content-type"] = "text/plain"}, body)
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local path, authority = headers:get(":path"), headers:get(":authority")
  local domain = domain_of(authority or "")
  if string.sub(path, 1, #CHALLENGE) == CHALLENGE then
    return answer_challenge(handle, path, domain or "")
  end
  if not domain then
    return
  end
  local now = os.time()
  local known = verdicts[domain]
  if known and known.expires > now then
    return
  end
  local answer = ask(handle, "POST", "/edge/v1/certificates/" .. domain, nil)
  local max_age = tonumber(string.match(answer["cache-control"] or "", "max%-age=(%d+)")) or 10
  if entries >= ENTRIES_MAX then
    verdicts, entries = {}, 0
  end
  verdicts[domain] = {status = answer[":status"], expires = now + max_age}
  entries = entries + 1
end
