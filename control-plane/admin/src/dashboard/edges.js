// The edges connected to this control plane.

import { ask } from "./api.js";
import { domainLink, el, number, table } from "./page.js";

export async function edges() {
  const { edges: all } = await ask("/v1/edges");
  return [
    el("h1", {}, "Edges"),
    all.length === 0 ? el("p", { class: "soft" }, "No Envoy has asked this control plane for a certificate; one is seen from its first handshake on.")
      : table("Connected edges",
        ["Edge", "Connected", "Certificates held", "Sent", "Removed", "Evicted", "Timed out", "Refused", "Last refusal"],
        all.map((edge) => [
          edge.node_id, span(edge.connected_s), held(edge), edge.pushes, edge.removals, edge.evictions, edge.timeouts,
          edge.nacks, edge.last_nack ? el("span", { class: "bad" }, domainLink(edge.last_nack.domain), " ", edge.last_nack.detail) : "–",
        ])),
  ];
}

// In short, for the page of the fleet.
export const connected = (all) => table("Connected edges in short", ["Edge", "Certificates held", "Refused"],
  all.map((edge) => [edge.node_id, held(edge),
    edge.last_nack ? el("span", { class: "bad" }, `${number(edge.nacks)}, last `, domainLink(edge.last_nack.domain)) : number(edge.nacks)]));

const held = (edge) => el("span", {},
  el("meter", { min: 0, max: edge.budget, high: 0.9 * edge.budget, value: edge.held, title: `${edge.held} of ${edge.budget}` }),
  ` ${number(edge.held)} of ${number(edge.budget)}`);

export function span(seconds) {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h`;
}
