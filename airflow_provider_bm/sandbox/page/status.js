// The line that says what happened. Screen readers read it out.

import {byId, el} from "./dom.js";

const STAYS = 8000;
let timer = 0;

export function announce(words, permanent = false) {
  const node = byId("status");
  clearTimeout(timer);
  // Emptied first: the same words again would not be read out.
  node.replaceChildren();
  timer = setTimeout(() => {
    node.replaceChildren(el("bdi", {}, words));
    if (!permanent) timer = setTimeout(() => node.replaceChildren(), STAYS);
  }, 50);
}

// Copies the text of a node.
export async function copy(node) {
  try {
    await navigator.clipboard.writeText(node.textContent);
    announce("Copied.");
  } catch {
    // Not every browser allows it, and none on http beyond this machine.
    getSelection().selectAllChildren(node);
    announce("Selected: copy it with the keyboard.");
  }
}
