// The list of domains, and the page of one.

import { ask, Refused } from "./api.js";
import { card, domainLink, el, state, table, time } from "./page.js";

const STATES = ["", "pending", "issuing", "issued", "deferred", "refused", "parked"];
const PAGE = 100;

export async function domains(query) {
  const page = await ask(listPath(query));
  const rows = [...page.domains];
  const list = el("div");
  const more = el("button", { type: "button", hidden: !page.next_cursor, click: async () => {
    more.disabled = true;
    const next = await ask(listPath(query, page.next_cursor));
    rows.push(...next.domains);
    page.next_cursor = next.next_cursor;
    more.disabled = false;
    more.hidden = !next.next_cursor;
    draw();
  } }, "More");
  const within = el("input", { id: "within", type: "search", placeholder: "in what is loaded", input: () => draw() });
  const draw = () => {
    const wanted = rows.filter((one) => one.domain.includes(within.value.trim().toLowerCase()));
    list.replaceChildren(wanted.length === 0 ? el("p", { class: "soft" }, "No domains.")
      : table("Domains", ["Domain", "State", "Tenant", "Valid until", "Next", "Cause"], wanted.map(row)));
  };
  draw();
  return [el("h1", {}, "Domains"), filters(query, within), list, el("p", {}, more)];
}

function listPath(query, cursor) {
  const asked = new URLSearchParams({ limit: PAGE });
  for (const key of ["state", "tenant", "due_within"]) if (query.get(key)) asked.set(key, query.get(key));
  if (cursor) asked.set("cursor", cursor);
  return `/v1/domains?${asked}`;
}

const row = (one) => [
  domainLink(one.domain), state(one.state), one.tenant, time(one.certificate?.not_after),
  time(one.failure?.next_attempt_at ?? one.certificate?.renew_at), one.failure?.cause ?? "",
];

function filters(query, within) {
  const field = (key, text, input) => el("div", {}, el("label", { for: key }, text), input);
  const go = (event) => {
    event?.preventDefault();
    const wanted = new URLSearchParams();
    for (const key of ["state", "tenant", "due_within"]) {
      const value = document.getElementById(key).value.trim();
      if (value) wanted.set(key, value);
    }
    location.hash = `#/domains?${wanted}`;
  };
  return el("form", { class: "filters", submit: go },
    field("state", "State", el("select", { id: "state", change: go }, STATES.map((word) =>
      el("option", { value: word, selected: (query.get("state") ?? "") === word }, word || "any")))),
    field("tenant", "Tenant", el("input", { id: "tenant", value: query.get("tenant") ?? "" })),
    field("due_within", "Due within", el("input", { id: "due_within", placeholder: "7d", size: 6, value: query.get("due_within") ?? "" })),
    field("within", "Filter", within),
    el("button", { type: "submit" }, "List"));
}

export async function domain(name, again) {
  let told;
  try {
    told = await ask(`/v1/domains/${encodeURIComponent(name)}/explain`);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return [el("h1", {}, name), el("p", { class: "bad", role: "alert" }, error.message)];
  }
  const record = told.record;
  return [
    el("h1", {}, record.domain, " ", state(record.state)),
    el("div", { class: "grid" },
      explanation(told), record.certificate ? certificate(record.certificate) : null,
      told.forward ? forward(told.forward) : null,
      timeline(told.timeline)),
    actions(record, again),
  ];
}

function explanation(told) {
  const failure = told.record.failure;
  const facts = [["What it means", told.summary]];
  if (failure) facts.push(["What is wrong", told.wrong], ["Cause", el("code", {}, failure.cause)], ["Who must act", told.act], ["What to change", el("pre", {}, told.change ?? "–")]);
  if (told.preflight) {
    const seen = told.preflight.seen.map((one) => `${one.what}: ${one.seen}`).join("\n");
    facts.push(["What was seen of it", el("div", {}, time(told.preflight.at), el("pre", { id: "seen" }, seen))]);
  }
  if (told.trials) facts.push(["What was tried", told.trials]);
  facts.push(["What happens next", told.next]);
  return card("Explanation", el("dl", {}, facts.map(([term, text]) => [el("dt", {}, term), el("dd", {}, text ?? "–")])));
}

const certificate = (held) => card("Certificate", el("dl", {}, [
  ["Valid", el("span", {}, time(held.not_before), " to ", time(held.not_after))], ["Renewal", time(held.renew_at)],
  ["Issuer", held.issuer], ["Serial", held.serial], ["Names", held.sans.join(", ")],
  ["SHA-256", held.fingerprint_sha256], ["From", held.source],
].map(([term, text]) => [el("dt", {}, term), el("dd", {}, text)])));

function forward(text) {
  const area = el("textarea", { id: "forward", rows: 7, readonly: true });
  area.value = text;
  return card("For the customer", el("label", { class: "hidden", for: "forward" }, "Text to forward"), area,
    el("p", {}, el("button", { type: "button", click: () => { area.select(); navigator.clipboard?.writeText(text); } }, "Copy")));
}

const timeline = (moments) => card("What happened", el("ol", { class: "timeline" }, moments.map((moment) =>
  el("li", {}, time(moment.at), el("br"), moment.what, moment.detail ? el("span", { class: "soft" }, ` – ${moment.detail}`) : null))));

function actions(record, again) {
  const said = el("span", { role: "status" });
  const act = async (path) => {
    try {
      await ask(path, "POST");
      said.textContent = "Asked for.";
      again();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      said.textContent = error.message;
    }
  };
  const path = `/v1/domains/${encodeURIComponent(record.domain)}/renew`;
  return el("p", {}, el("button", { type: "button", id: "renew", click: () => act(path) },
    record.failure ? "Try again now" : "Renew now"), " ", said);
}
