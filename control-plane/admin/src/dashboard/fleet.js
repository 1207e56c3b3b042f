// The fleet at a glance.

import { ask } from "./api.js";
import { connected, span } from "./edges.js";
import { card, domainLink, el, number, plot, state, table, time } from "./page.js";

const STATES = ["issued", "pending", "issuing", "deferred", "refused", "parked"];
const REMAINING = ["expired", "1d", "3d", "7d", "14d", "30d", "60d", "more"];
const OVERDUE = ["1h", "1d", "7d", "more"];
const HOURS = 48;

export async function fleet(recent) {
  const [seen, { edges }] = await Promise.all([ask("/v1/fleet"), ask("/v1/edges")]);
  document.getElementById("version").textContent = `Sealwax ${seen.version}`;
  const census = seen.census;
  return [
    el("h1", {}, "Fleet"),
    el("div", { class: "cards" }, STATES.map((word) =>
      el("a", { class: "card", href: `#/domains?state=${word}` },
        el("b", {}, census ? number(census.states[word] ?? 0) : "…"), state(word)))),
    census ? null : el("p", { class: "soft" }, "The fleet is being counted."),
    el("div", { class: "grid" },
      census ? remaining(census) : null,
      census ? calendar(census) : null,
      hours(seen),
      census && Object.keys(census.causes).length ? causes(census) : null,
      issuers(seen), seen.budgets.length ? budgets(seen) : null,
      seen.campaign ? campaign(seen.campaign) : null, seen.receivers.length ? receivers(seen) : null,
      atEdges(edges), queue(seen), happenings(recent)),
  ];
}

function remaining(census) {
  const urgent = (word) => (["expired", "1d", "3d"].includes(word) ? "bad" : "");
  const overdue = OVERDUE.reduce((sum, word) => sum + (census.overdue[word] ?? 0), 0);
  return card("Time until certificates expire",
    plot("Certificates by the time until they expire", REMAINING.map((word) =>
      ({ label: word, value: census.remaining[word] ?? 0, kind: urgent(word) }))),
    el("p", { class: "soft" }, "expired · less than 1, 3, 7, 14, 30, 60 days · more"),
    el("p", { class: census.remaining.expired || census.overdue["7d"] || census.overdue.more ? "bad" : "" },
      `${number(census.remaining.expired ?? 0)} expired, ${number(overdue)} renewals overdue`));
}

const calendar = (census) => card("Expiry calendar, 90 days",
  plot("Certificates that expire on each of the next 90 days", census.calendar.map((value, day) =>
    ({ label: day === 0 ? "within a day" : `in ${day} days`, value, kind: day < 3 ? "bad" : "" }))),
  el("p", { class: "soft" }, "Counted ", time(census.at)));

function hours(seen) {
  const start = Math.floor(Date.parse(seen.now) / 3600000) - HOURS + 1;
  const bars = Array.from({ length: HOURS }, (_, index) => {
    const hour = seen.hours.find((one) => one.starts_at === (start + index) * 3600);
    return { label: new Date((start + index) * 3600000).toISOString().slice(0, 16), value: hour ? hour.orders : 0, kind: "good" };
  });
  const sum = (field) => seen.hours.reduce((total, hour) => total + hour[field], 0);
  return card("Orders an hour, 48 hours", plot("Orders placed in each of the last 48 hours", bars),
    el("p", { class: "soft" },
      `${number(sum("orders"))} orders; ${number(sum("issued"))} issued, ${number(sum("renewed"))} renewed, ${number(sum("failed"))} attempts failed; by this control plane`));
}

const causes = (census) => card("Why attempts failed", table("Domains by cause", ["Cause", "Domains"],
  Object.entries(census.causes).sort((one, other) => other[1] - one[1])));

const issuers = (seen) => card("Certificate authorities", table("Certificate authorities",
  ["Name", "Health", "Last success", "Last error"], seen.issuers.map((issuer) => [
    issuer.name,
    issuer.errors_in_a_row === 0 ? el("span", { class: "good" }, issuer.last_success_at ? "well" : "not asked yet")
      : el("span", { class: "bad" }, `${issuer.errors_in_a_row} errors in a row`),
    time(issuer.last_success_at),
    issuer.last_error ? el("span", {}, time(issuer.last_error_at), " ", issuer.last_error) : "–",
  ])));

const LIMITS = { orders: "new orders of the account", requests: "requests for orders from here" };

const budgets = (seen) => card("Budgets left at certificate authorities", table("Budgets left", ["Name", "Limit", "Left"],
  seen.budgets.map((one) => [one.issuer, LIMITS[one.limit] ?? one.limit, el("span", {},
    el("meter", { min: 0, max: one.of, low: 0.1 * one.of, optimum: one.of, value: one.left, title: `${one.left} of ${one.of}` }),
    ` ${number(one.left)} of ${number(one.of)}`)])));

// Those that have an outcome, of those that were counted.
function campaign(one) {
  const done = one.replaced + one.failed + one.gone, of = one.total ?? one.counted;
  const ends = one.ended_at ?? one.ends_about;
  return card("Replacing many certificates", table("Campaign", ["What", "How"], [
    ["state", el("b", {}, one.state)],
    ["done", el("span", {},
      el("meter", { min: 0, max: Math.max(1, of), value: done, title: `${done} of ${of}` }),
      ` ${number(done)} of ${number(of)}${one.total === null ? ", still counting" : ""}`)],
    ["replaced", one.replaced], ["asked for, not there yet", one.open],
    ["failed", one.failed === 0 ? 0 : el("span", { class: "bad" }, number(one.failed), " ",
      one.failed_domains.flatMap((name) => [domainLink(name), " "]))],
    ["left meanwhile", one.gone], ["wanted by", time(one.before)],
    [one.ended_at ? "ended" : "ends about", el("span", one.late ? { class: "bad" } : {}, time(ends), one.late ? " (late)" : "")],
    ["why", one.reason || "–"],
  ]));
}

const receivers = (seen) => card("Receivers of events", table("Receivers of events",
  ["Kind", "Receiver", "Health", "Last success", "Last error"], seen.receivers.map((one) => [
    one.kind,
    one.receiver,
    one.errors_in_a_row === 0 ? el("span", { class: "good" }, one.last_success_at ? "well" : "nothing to tell yet")
      : el("span", { class: "bad" }, one.misconfigured ? "someone must act" : `${one.errors_in_a_row} errors in a row`),
    time(one.last_success_at),
    one.last_error ? el("span", {}, time(one.last_error_at), " ", one.last_error) : "–",
  ])));

const atEdges = (edges) => card("Edges", edges.length === 0 ? el("p", { class: "soft" }, "None is connected.") : connected(edges));

const waits = (lane) => (lane.waiting === 0 ? "0" : `${number(lane.waiting)}, the first for ${span(lane.oldest_s)}`);

const queue = (seen) => card("Work", table("Work", ["What", "How many"], [
  ...seen.queue.map((lane) => [`waiting: ${lane.lane}`, waits(lane)]),
  ["being worked on", seen.runs_in_flight],
  ["handshakes held", seen.handshakes_held],
  ["names in memory", seen.names_in_memory],
  [el("a", { href: "#/edges" }, "connected edges"), seen.edges],
]));

const happenings = (recent) => card("As it happens", recent.length === 0
  ? el("p", { class: "soft" }, "Nothing since this page was opened.")
  : el("ol", { class: "timeline" }, recent.map((one) =>
    el("li", {}, time(one.at), " ", domainLink(one.domain), " ", one.kind, " ", el("span", { class: "soft" }, one.detail)))));
