// Which page is shown, and when it is drawn anew.

import { listen, Refused } from "./api.js";
import { domain, domains } from "./domains.js";
import { edges } from "./edges.js";
import { fleet } from "./fleet.js";
import { el } from "./page.js";

const RECENT = 50;
// At most this often, however much happens; and this often when nothing does.
const SOONEST = 500, LATEST = 15000;

const main = document.getElementById("main");
const recent = [];
let drawn = 0, due = null, turn = 0;

function page() {
  const [path, query] = location.hash.replace(/^#/, "").split("?");
  const [, first, second] = path.split("/");
  if (first === "domains") return { tab: "#/domains", draw: () => domains(new URLSearchParams(query)), whole: true };
  if (first === "domain" && second) {
    const name = decodeURIComponent(second);
    return { tab: "#/domains", name, draw: () => domain(name, () => soon()) };
  }
  if (first === "edges") return { tab: "#/edges", draw: edges };
  return { tab: "#/", draw: () => fleet(recent) };
}

async function draw(moved) {
  const mine = ++turn;
  const now = page();
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === now.tab) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  let content;
  try {
    content = await now.draw();
  } catch (error) {
    if (!(error instanceof Refused || error instanceof TypeError)) throw error;
    content = [el("p", { class: "bad", role: "alert" }, error instanceof Refused ? error.message : "The control plane does not answer.")];
  }
  // Someone went elsewhere meanwhile.
  if (mine !== turn) return;
  const focused = document.activeElement?.id;
  main.replaceChildren(...content.flat().filter((child) => child !== null));
  drawn = performance.now();
  document.title = `${main.querySelector("h1")?.textContent ?? "Fleet"} · Sealwax`;
  if (moved) main.focus({ preventScroll: true });
  else if (focused) document.getElementById(focused)?.focus();
}

function soon() {
  due ??= setTimeout(() => { due = null; draw(false); }, Math.max(0, SOONEST - (performance.now() - drawn)));
}

function heard(kind, event) {
  if (kind === "lifecycle") {
    recent.unshift(event);
    recent.length = Math.min(recent.length, RECENT);
  }
  const now = page();
  // A list someone reads stays; it is drawn anew when they ask for it.
  if (now.whole || (now.name && kind === "lifecycle" && event.domain !== now.name)) return;
  soon();
}

function live(on) {
  const sign = document.getElementById("live");
  sign.textContent = on ? "live" : "connecting";
  sign.className = `live ${on ? "on" : "off"}`;
}

const THEMES = ["auto", "light", "dark"];
function theme(word) {
  sessionStorage.setItem("sealwax-theme", word);
  document.documentElement.dataset.theme = word;
  document.getElementById("theme").textContent = `Theme: ${word}`;
}
theme(sessionStorage.getItem("sealwax-theme") ?? "auto");
document.getElementById("theme").addEventListener("click", () =>
  theme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length]));

document.getElementById("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = document.getElementById("name").value.trim().toLowerCase();
  if (name) location.hash = `#/domain/${encodeURIComponent(name)}`;
});
document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, textarea, select");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    document.getElementById("name").focus();
  }
});
// The address after # names the page, so this link must not change it.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener("hashchange", () => draw(true));
setInterval(() => { if (!page().whole && !document.hidden) soon(); }, LATEST);

await draw(false);
listen(heard, live);
