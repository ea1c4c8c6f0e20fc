// One message, as a phone would show it.

import {count, el} from "./dom.js";
import {isVisible, isolated, of, say, unmasked} from "./foreign.js";
import {long} from "./times.js";

let shown = "";

export const makePhone = () =>
  el("article", {class: "phone", "aria-label": "The message as a phone shows it"});

// Left alone while it stays the same, so that one can select text in it.
export function showPhone(phone, message, preview) {
  const now = JSON.stringify([message, preview]);
  if (now === shown) return;
  shown = now;
  if (!message) {
    phone.replaceChildren(el("p", {class: "empty"}, "No message."));
    return;
  }
  const from = el("span", {class: "muted"}, message.channel);
  const footer = el("footer", {class: "muted"});
  const contact = isVisible(message.contact) ? of(message.contact) : "a contact";
  say(footer, "to ", contact, ", ", of(message.to));
  phone.replaceChildren(
    el("header", {}, el("strong", {}, isolated(message.sender)), from),
    el("p", {class: "muted when"}, preview ? "not sent" : `${long(message.sent_dt)} UTC`),
    // It scrolls: who has no mouse has to get there.
    el("div", {class: "bubble", tabindex: "0", role: "group", "aria-label": "Content"}, ...content(message)),
    footer,
  );
}

function content({title, text, details, more}) {
  const made = [];
  if (title.length) made.push(el("strong", {dir: "auto"}, ...title.flatMap(piece)));
  if (text.length) made.push(el("p", {dir: "auto"}, ...text.flatMap(piece)));
  else if (!title.length) made.push(el("p", {class: "muted"}, "(no text)"));
  if (details.length) made.push(el("dl", {}, ...details.map(detail)));
  if (more) made.push(el("p", {class: "muted"}, `… and ${count(more)} more`));
  return made;
}

const detail = ([label, value]) =>
  el("div", {}, el("dt", {}, ...unmasked(label)), el("dd", {dir: "auto"}, ...value.flatMap(piece)));

// Variables without a value are marked: on a phone they would stand there just so, or be nothing.
function piece(one) {
  if (typeof one === "string") return unmasked(one);
  return one.unknown
    ? el("mark", {title: "This variable has no value."}, isolated(one.unknown))
    : el("mark", {title: "This contact has none: nothing stands here."}, `no ${one.empty}`);
}
