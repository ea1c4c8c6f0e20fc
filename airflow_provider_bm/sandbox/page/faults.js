// The fault switch: what goes wrong with the next calls, and what is in force.

import {send} from "./api.js";
import {attr, byId, el, keyed, plural, text} from "./dom.js";

const EFFECTS = [
  ["503", "503: not carried out", {status: 503}],
  ["Lost reply", "carried out, but the reply is lost", {lose_reply: true}],
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
  byId("clear-faults").addEventListener("click", () =>
    act(() => send("DELETE", "faults"), "No faults in force."),
  );
}

export function showFaults(faults) {
  keyed(
    byId("fault-rows"),
    [...faults].reverse(),
    (fault) => fault.id,
    () => el("li", {}, el("span", {class: "what"}), el("span", {class: "muted"})),
    (node, fault) => {
      text(node.firstChild, `${calls(fault)} → ${effect(fault)}`);
      text(
        node.lastChild,
        fault.spent ? `used up, hit ${plural(fault.hits, "call")}` : `hit ${plural(fault.hits, "call")}`,
      );
      attr(node, "class", fault.spent ? "spent" : null);
    },
  );
  byId("no-faults").hidden = faults.length > 0;
  attr(byId("clear-faults"), "aria-disabled", faults.length === 0 && "true");
}

function calls(fault) {
  const method = fault.method ?? "Any method";
  const path = fault.path ? ` ${fault.path}` : "";
  let which = fault.times ? (fault.times === 1 ? "next call" : `next ${fault.times} calls`) : "every call";
  if (fault.nth > 1) which = `${which} from number ${fault.nth}`;
  if (fault.probability !== undefined) which = `${which}, with probability ${fault.probability}`;
  return `${method}${path}, ${which}`;
}

function effect(fault) {
  const words = [];
  if (fault.delay) words.push(`${fault.delay} s late`);
  if (fault.delay_after) words.push(`carried out, ${fault.delay_after} s late`);
  if (fault.refuse) words.push(`connections refused for ${fault.refuse} s`);
  if (fault.revoke_token) words.push("tokens revoked");
  if (fault.lose_reply) words.push("carried out, reply lost");
  if (fault.status) words.push(String(fault.status));
  for (const [name, value] of Object.entries(fault.headers ?? {})) words.push(`${name}: ${value}`);
  if (fault.body !== undefined) words.push("a body of its own");
  const known = ["refuse", "delay", "delay_after", "revoke_token", "lose_reply", "status", "headers", "body"];
  const rest = [
    "id",
    "nth",
    "times",
    "seen",
    "hits",
    "spent",
    "method",
    "path",
    "probability",
    "seed",
    ...known,
  ];
  for (const name of Object.keys(fault)) if (!rest.includes(name)) words.push(name);
  return words.join(", ");
}
