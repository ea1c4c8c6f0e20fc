// The line that says what happened. Screen readers read it out.

import {byId} from "./dom.js";
import {of, say} from "./foreign.js";

const STAYS = 8000;
let timer = 0;

export function announce(words, forGood = false) {
  const node = byId("status");
  clearTimeout(timer);
  // Emptied first: the same words again would not be read out.
  say(node);
  timer = setTimeout(() => {
    say(node, of(words));
    // It lies over the page: it does not stay there for ever.
    if (!forGood) timer = setTimeout(() => say(node), STAYS);
  }, 50);
}
