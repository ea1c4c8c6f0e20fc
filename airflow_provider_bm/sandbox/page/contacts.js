// The contacts that got the messages of an execution, one page of them.

import {attr, el, keyed, text} from "./dom.js";
import {clockTime} from "./times.js";

// Calls choose(number) with the message to show.
export function makeContacts(choose) {
  const list = el("ol", {class: "contacts", "aria-label": "Contacts"});
  list.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    for (const row of list.children) attr(row.firstChild, "aria-pressed", String(row.firstChild === button));
    choose(Number(button.dataset.number));
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
      text(name, message.contact.trim() || message.to);
      attr(name, "title", message.contact);
      text(time, preview ? "" : clockTime(message.sent_dt));
      text(address, message.to);
      attr(address, "title", message.to);
      attr(node.firstChild, "aria-pressed", String(message.number === chosen));
    },
  );
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
