// Talks to the admin API: the token, questions, and the stream of events.

const KEY = "sealwax-token";
const FIRST_WAIT = 1000, LONGEST_WAIT = 30000;

let asking = null;

export class Refused extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? `The control plane answered ${status}.`);
    this.status = status;
  }
}

// Asked for once a tab: kept in the session's storage, in no address and no cookie.
function askForToken(wrong) {
  asking ??= new Promise((resolve) => {
    const dialog = document.getElementById("ask");
    const input = document.getElementById("token");
    document.getElementById("token-note").textContent =
      wrong ? "That token was refused." : "Kept in this tab until it is closed.";
    dialog.addEventListener("close", () => {
      if (input.value) sessionStorage.setItem(KEY, input.value.trim());
      input.value = "";
      asking = null;
      resolve();
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}

async function request(path, options = {}) {
  for (;;) {
    const token = sessionStorage.getItem(KEY);
    const headers = { ...options.headers };
    if (token) headers.authorization = `Bearer ${token}`;
    const answer = await fetch(path, { ...options, headers, cache: "no-store" });
    if (answer.status === 401) {
      // Late, it may be about a token that was replaced since.
      if (sessionStorage.getItem(KEY) === token) {
        sessionStorage.removeItem(KEY);
        await askForToken(token !== null);
      }
      continue;
    }
    if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => null));
    return answer;
  }
}

export async function ask(path, method = "GET") {
  const answer = await request(path, { method });
  return answer.status === 204 ? null : answer.json();
}

// An EventSource cannot show a token, so the stream is read by hand: it is a few lines.
export async function listen(heard, state) {
  let last = null, wait = FIRST_WAIT;
  for (;;) {
    try {
      const answer = await request("/v1/events", { headers: last ? { "last-event-id": last } : {} });
      state(true);
      wait = FIRST_WAIT;
      for await (const event of events(answer.body)) {
        last = event.id ?? last;
        if (event.data) heard(event.event, JSON.parse(event.data));
      }
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof Refused)) throw error;
    }
    state(false);
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(2 * wait, LONGEST_WAIT);
  }
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
      const event = {};
      for (const line of text.slice(0, end).split("\n")) {
        const [, field, value] = /^([a-z]+): ?(.*)$/.exec(line) ?? [];
        if (field) event[field] = value;
      }
      yield event;
    }
  }
}
