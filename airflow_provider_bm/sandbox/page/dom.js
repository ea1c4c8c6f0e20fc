// Making and updating elements. Texts of campaigns, messages and errors are anybody's: they become text nodes,
// never markup. (The page's policy has the browser refuse anything else.)

export const byId = (id) => document.getElementById(id);

// el("a", {class: "x", href: "#y", onclick: f}, "text", node): null and false children are left out.
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else attr(made, name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== false));
  return made;
}

// Updates touch only what differs, so that screen readers and selections are left in peace.
export function attr(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value === true ? "" : value);
}

export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

const held = new WeakMap();

// Makes the children of a node those of a list, and keeps elements (and the focus) of items that stay.
export function keyed(parent, items, keyOf, make, update) {
  const before = held.get(parent) ?? new Map();
  const after = new Map();
  for (const item of items) {
    const key = keyOf(item);
    after.set(key, before.get(key) ?? make(item));
  }
  const focused = document.activeElement;
  const had = parent.contains(focused);
  for (const [key, node] of before) if (!after.has(key)) node.remove();
  let position = parent.firstElementChild;
  for (const node of after.values()) {
    if (node === position) position = position.nextElementSibling;
    else parent.insertBefore(node, position);
  }
  held.set(parent, after);
  for (const item of items) update(after.get(keyOf(item)), item);
  if (had && document.activeElement !== focused) {
    (focused.isConnected ? focused : parent.querySelector("a, button, summary"))?.focus({
      preventScroll: true,
    });
  }
}

// Arrow keys, Home and End go from row to row.
export function arrows(parent, selector) {
  parent.addEventListener("keydown", (event) => {
    const rows = [...parent.querySelectorAll(selector)];
    const here = rows.indexOf(document.activeElement);
    if (here < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const to = {ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: rows.length - 1}[event.key];
    if (to === undefined || !rows[to]) return;
    event.preventDefault();
    rows[to].focus();
  });
}

// Previous and next page, and what is shown of how many.
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
    // Not "disabled", which would take the focus away from who presses Enter again and again.
    attr(previous, "aria-disabled", page <= 1 && "true");
    attr(next, "aria-disabled", page >= pages && "true");
    parent.hidden = pages <= 1;
  };
}

const numbers = new Intl.NumberFormat("en");
export const count = (number) => numbers.format(number);
export const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;
