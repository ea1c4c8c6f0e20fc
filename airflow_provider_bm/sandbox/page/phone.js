// One message, as a phone would show it.

import {count, el} from "./dom.js";
import {long} from "./times.js";

let shown = "";

export const makePhone = () =>
  el("article", {class: "phone", "aria-label": "The message as a phone shows it"});

// Unchanged while the message is the same, so that text in it can be selected.
export function showPhone(phone, message, preview) {
  const now = JSON.stringify([message, preview]);
  if (now === shown) return;
  shown = now;
  if (!message) {
    phone.replaceChildren(el("p", {class: "empty"}, "No message."));
    return;
  }
  const from = el("span", {class: "muted"}, message.channel);
  const contact = message.contact.trim() || "a contact";
  phone.replaceChildren(
    el("header", {}, el("strong", {}, message.sender), from),
    el("p", {class: "muted when"}, preview ? "not sent" : `${long(message.sent_dt)} UTC`),
    // Focusable, since it scrolls.
    el("div", {class: "bubble", tabindex: "0", role: "group", "aria-label": "Content"}, ...content(message)),
    el("footer", {class: "muted"}, "to ", el("bdi", {}, contact), ", ", el("bdi", {}, message.to)),
  );
}

function content({title, text, details, more}) {
  const made = [];
  if (title.length) made.push(el("strong", {dir: "auto"}, ...title.map(piece)));
  if (text.length) made.push(el("p", {dir: "auto"}, ...text.map(piece)));
  else if (!title.length) made.push(el("p", {class: "muted"}, "(no text)"));
  if (details.length) made.push(el("dl", {}, ...details.map(detail)));
  if (more) made.push(el("p", {class: "muted"}, `… and ${count(more)} more`));
  return made;
}

const detail = ([label, value]) =>
  el("div", {}, el("dt", {}, label), el("dd", {dir: "auto"}, ...value.map(piece)));

// Variables without a value are marked: on a phone they would be there as they are, or be empty.
function piece(part) {
  if (typeof part === "string") return part;
  return part.unknown
    ? el("mark", {title: "This variable has no value."}, part.unknown)
    : el("mark", {title: "This contact has no value: the text is empty here."}, `no ${part.empty}`);
}
