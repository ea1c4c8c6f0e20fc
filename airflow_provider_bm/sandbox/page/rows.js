// Lists for the keyboard: one tab stop each; arrow keys, Home and End go from row to row.

import {attr} from "./dom.js";

const visited = new WeakMap();

// Tells moved(row) of a row that is gone to, and beyond(step) to go on to the next page or the previous one.
export function wireRows(parent, selector, {moved, beyond} = {}) {
  parent.addEventListener("focusin", (event) => {
    const row = event.target.closest(selector);
    if (!row) return;
    visited.set(parent, row);
    oneStop(parent, selector);
  });
  parent.addEventListener("keydown", (event) => {
    const rows = [...parent.querySelectorAll(selector)];
    const here = rows.indexOf(document.activeElement);
    if (here < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const to = {ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: rows.length - 1}[event.key];
    if (to === undefined || !(rows[to] || beyond)) return;
    event.preventDefault();
    if (!rows[to]) return beyond(to - here);
    rows[to].focus();
    moved?.(rows[to]);
  });
}

// After an update: the stop is where one was last, or else what is chosen.
export function oneStop(parent, selector) {
  const rows = [...parent.querySelectorAll(selector)];
  const last = visited.get(parent);
  const chosen = rows.find((row) => row.matches("[aria-current], [aria-pressed=true]"));
  const stop = rows.includes(last) ? last : (chosen ?? rows[0]);
  for (const row of rows) attr(row, "tabindex", row === stop ? "0" : "-1");
}

// After going on to another page: its first row, or its last.
export function land(parent, selector, step) {
  const rows = parent.querySelectorAll(selector);
  rows[step > 0 ? 0 : rows.length - 1]?.focus();
}
