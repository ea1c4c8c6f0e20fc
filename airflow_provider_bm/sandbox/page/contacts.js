// Whom an execution's messages went to, a page of them.

import {attr, el, keyed, text} from "./dom.js";
import {isVisible, of, say, spelled} from "./foreign.js";
import {land, oneStop, wireRows} from "./rows.js";
import {clockTime} from "./times.js";

let landing = 0;

// Tells choose(number, clicked) of the message to show, and turn(step) to show another page, if there is one.
export function makeContacts(choose, turn) {
  const list = el("ol", {class: "contacts", "aria-label": "Contacts"});
  const chosen = (button, clicked) => {
    for (const row of list.children) attr(row.firstChild, "aria-pressed", String(row.firstChild === button));
    choose(Number(button.dataset.number), clicked);
  };
  list.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) chosen(button, true);
  });
  wireRows(list, "button", {
    moved: (button) => chosen(button, false),
    beyond: (step) => {
      if (turn(step)) landing = step;
    },
  });
  return list;
}

export function showContacts(list, messages, chosen, preview) {
  keyed(
    list,
    messages,
    (message) => message.number,
    make,
    (node, message) => {
      const [name, time, address] = node.firstChild.children;
      const shown = isVisible(message.contact) ? message.contact : message.to;
      say(name, of(shown));
      attr(name, "title", spelled(shown));
      text(time, preview ? "" : clockTime(message.sent_dt));
      say(address, of(message.to));
      attr(address, "title", spelled(message.to));
      attr(node.firstChild, "aria-pressed", String(message.number === chosen));
    },
  );
  oneStop(list, "button");
  if (landing) land(list, "button", landing);
  landing = 0;
}

function make({number}) {
  return el(
    "li",
    {},
    el(
      "button",
      {type: "button", "data-number": number},
      el("span", {class: "name"}),
      el("span", {class: "time"}),
      el("span", {class: "address muted"}),
    ),
  );
}
