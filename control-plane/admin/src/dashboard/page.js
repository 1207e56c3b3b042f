// Makes elements. Text only ever goes in as text, so that what a CA or an edge wrote stays text.

export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

export const number = (value) => new Intl.NumberFormat("en").format(value);

export function time(text) {
  return text ? el("time", { datetime: text, title: text }, text.replace("T", " ").replace("Z", " UTC")) : "–";
}

export const state = (word) => el("span", { class: `state ${word}` }, word);

export const domainLink = (name) => el("a", { href: `#/domain/${encodeURIComponent(name)}` }, name);

// rows: arrays of cells; numbers are set to the right.
export function table(caption, headings, rows) {
  const cell = (value) => typeof value === "number"
    ? el("td", { class: "number" }, number(value)) : el("td", {}, value ?? "–");
  return el("div", { class: "scroll" }, el("table", {},
    el("caption", { class: "hidden" }, caption),
    el("thead", {}, el("tr", {}, headings.map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, row.map(cell))))));
}

export const card = (title, ...content) => el("section", { class: "card" }, el("h2", {}, title), ...content);

// bars: {label, value, kind}. Every bar can be read: its title, and the text for screen readers.
export function plot(about, bars) {
  const NS = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(NS, "svg");
  const most = Math.max(1, ...bars.map((bar) => bar.value));
  const width = 100 / Math.max(1, bars.length);
  svg.setAttribute("class", "plot");
  svg.setAttribute("viewBox", "0 0 100 40");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", about);
  bars.forEach((bar, index) => {
    const height = bar.value === 0 ? 0.4 : Math.max(1, (38 * bar.value) / most);
    const rect = document.createElementNS(NS, "rect");
    for (const [key, value] of Object.entries({
      x: index * width + width * 0.08, y: 40 - height, width: width * 0.84, height, class: bar.kind ?? "",
    })) rect.setAttribute(key, value);
    const title = document.createElementNS(NS, "title");
    title.textContent = `${bar.label}: ${number(bar.value)}`;
    rect.append(title);
    svg.append(rect);
  });
  return svg;
}
