// Create and update elements. Texts of campaigns, messages and errors are untrusted: they become text nodes, never
// markup. (The page's content security policy makes the browser refuse anything else.)

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

// Updates change only what differs, so that screen readers and selections are not disturbed.
export function attr(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value === true ? "" : value);
}

export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

const children = new WeakMap();

// Renders a list into a node, and keeps the elements (and the focus) of items that remain.
export function keyed(parent, items, keyOf, make, update) {
  const before = children.get(parent) ?? new Map();
  const after = new Map();
  for (const item of items) {
    const key = keyOf(item);
    after.set(key, before.get(key) ?? make(item));
  }
  const focused = document.activeElement;
  const place = [...parent.children].findIndex((child) => child.contains(focused));
  for (const [key, node] of before) if (!after.has(key)) node.remove();
  let position = parent.firstElementChild;
  for (const node of after.values()) {
    if (node === position) position = position.nextElementSibling;
    else parent.insertBefore(node, position);
  }
  children.set(parent, after);
  for (const item of items) update(after.get(keyOf(item)), item);
  if (place >= 0 && document.activeElement !== focused) {
    const next = parent.children[Math.min(place, parent.children.length - 1)];
    const near = next?.querySelector("a, button, summary") ?? parent.closest("section");
    (focused.isConnected ? focused : near)?.focus({preventScroll: true});
  }
}

// Drops the elements of a list: items of another sandbox may have the same keys.
export function forget(parent) {
  children.delete(parent);
  parent.replaceChildren();
}

const numbers = new Intl.NumberFormat("en");
export const count = (number) => numbers.format(number);
export const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;
