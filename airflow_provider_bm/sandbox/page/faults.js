// Faults: buttons for the usual ones, and the list of those in force.

import {send} from "./api.js";
import {attr, byId, count, el, keyed, plural, text} from "./dom.js";

const EFFECTS = [
  ["503", "503: not applied", {status: 503}],
  ["Lost reply", "applied, but the reply is lost", {lose_reply: true}],
  ["429", "429 with Retry-After: 5", {status: 429, headers: {"Retry-After": "5"}}],
  ["Slow", "the answer takes 10 seconds", {delay: 10}],
  ["Down 5 s", "the connection closed, and new ones refused for 5 seconds", {refuse: 5}],
  ["Revoke token", "401: all tokens revoked", {revoke_token: true}],
];

export function wireFaults(act) {
  const buttons = EFFECTS.map(([label, words, effect]) =>
    el(
      "button",
      {
        type: "button",
        title: words,
        onclick() {
          const method = byId("fault-method").value || null;
          const times = Number(byId("fault-times").value) || null;
          act(
            () => send("POST", "faults", {path: "/campaigns", method, times, ...effect}),
            `In force: ${words}.`,
          );
        },
      },
      label,
    ),
  );
  byId("fault-buttons").append(...buttons);
  const clear = (id, call, done) =>
    byId(id).addEventListener("click", (event) => {
      if (event.target.getAttribute("aria-disabled") !== "true") act(call, done);
    });
  clear("clear-faults", () => send("DELETE", "faults"), "No faults in force.");
  clear("clear-used-up", () => send("POST", "page/clear_used_up"), "Used-up faults cleared.");
  byId("fault-rows").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) act(() => send("DELETE", "faults", {id: Number(button.dataset.id)}), "Fault removed.");
  });
}

export function showFaults({faults, fault_count: all, used_up_count: usedUp}) {
  keyed(byId("fault-rows"), faults, (fault) => fault.id, make, update);
  byId("no-faults").hidden = all > 0;
  byId("fault-order").hidden = all - usedUp < 2;
  byId("more-faults").hidden = all <= faults.length;
  text(byId("more-faults"), `${count(all - faults.length)} older ones are not listed.`);
  attr(byId("clear-faults"), "aria-disabled", all === 0 && "true");
  attr(byId("clear-used-up"), "aria-disabled", usedUp === 0 && "true");
}

function make({id}) {
  return el(
    "li",
    {},
    el("span", {class: "what", id: `fault-${id}`}),
    el("span", {class: "hits muted"}),
    el("button", {type: "button", "data-id": id, "aria-describedby": `fault-${id}`}, "Remove"),
  );
}

function update(node, fault) {
  const [what, hits] = node.children;
  text(what, `${calls(fault)} → ${effect(fault).join(", ")}`);
  text(hits, `${fault.used_up ? "used up, " : ""}hit ${plural(fault.hits, "call")}`);
  attr(node, "class", fault.used_up ? "used-up" : null);
}

function calls(fault) {
  const path = fault.path ? ` ${fault.path}` : "";
  let which = fault.times ? (fault.times === 1 ? "next call" : `next ${fault.times} calls`) : "every call";
  if (fault.nth > 1) which = `${which} from number ${fault.nth}`;
  if (fault.probability !== undefined) which = `${which}, with probability ${fault.probability}`;
  return `${fault.method ?? "Any method"}${path}, ${which}`;
}

function effect(fault) {
  const parts = [];
  if (fault.delay) parts.push(`${fault.delay} s late`);
  if (fault.delay_after) parts.push(`applied, ${fault.delay_after} s late`);
  if (fault.refuse) parts.push(`connections refused for ${fault.refuse} s`);
  if (fault.revoke_token) parts.push("tokens revoked");
  if (fault.lose_reply) parts.push("applied, reply lost");
  if (fault.drop) parts.push("connection closed");
  if (fault.status) parts.push(String(fault.status));
  if (fault.html) parts.push("a gateway's page");
  if (fault.truncate) parts.push("cut off");
  if (fault.garbage) parts.push("noise");
  if (fault.apply) parts.push("applied");
  if (fault.change_request) parts.push("another request");
  if (fault.change_reply) parts.push("another reply");
  for (const [name, value] of Object.entries(fault.headers ?? {})) parts.push(`${name}: ${value ?? "missing"}`);
  if (fault.more_headers) parts.push(plural(fault.more_headers, "more header"));
  if (fault.body) parts.push("another body");
  return parts;
}
