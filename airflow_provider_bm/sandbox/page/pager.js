// Previous and next page, and the range that is shown.

import {attr, count, el, text} from "./dom.js";

export function pager(parent, what, go) {
  const previous = el(
    "button",
    {type: "button", "aria-label": `Previous ${what}`, onclick: () => go(-1)},
    "‹",
  );
  const next = el("button", {type: "button", "aria-label": `Next ${what}`, onclick: () => go(1)}, "›");
  const range = el("span", {class: "muted"});
  parent.append(range, previous, next);
  return (first, shown, found, page, pages) => {
    text(range, found ? `${count(first)}–${count(first + shown - 1)} of ${count(found)}` : "");
    // Not "disabled", which would take the focus away while somebody presses Enter repeatedly.
    attr(previous, "aria-disabled", page <= 1 && "true");
    attr(next, "aria-disabled", page >= pages && "true");
    parent.hidden = pages <= 1;
  };
}
