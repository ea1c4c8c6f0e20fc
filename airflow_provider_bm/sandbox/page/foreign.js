// Texts that are anybody's, among the page's own words: isolated, so that a change of direction ends with
// them, and with what nobody would see made visible.

import {el} from "./dom.js";

// Control and format characters, separators, blanks that pass for letters. Not joiners and tags: emoji are
// made with them.
const UNSEEN =
  /(?![\t\n\r\u200c\u200d\u{e0020}-\u{e007f}])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u115f\u1160\u2800\u3164\uffa0]/gu;
const BLANK = /[\s\p{Cc}\p{Cf}\p{Z}\p{M}\u115f\u1160\u2800\u3164\uffa0]/gu;

const codeOf = (character) => `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

export const isVisible = (value) => value.replace(BLANK, "") !== "";

// For attributes, where nothing can be marked.
export const spelled = (value) => value.replace(UNSEEN, codeOf);

// Marks a foreign text for say().
export const of = (value) => ({foreign: value});

// For a block of its own; among other words isolated() is needed.
export function unmasked(value) {
  const made = [];
  let end = 0;
  for (const found of value.matchAll(UNSEEN)) {
    made.push(value.slice(end, found.index));
    made.push(el("span", {class: "unseen", title: "a character that is not seen"}, codeOf(found[0])));
    end = found.index + found[0].length;
  }
  return [...made, value.slice(end)];
}

export const isolated = (value) => el("bdi", {}, ...unmasked(value));

const said = new WeakMap();

// Puts words into a node: the page's own as strings, others as of(value).
export function say(node, ...pieces) {
  const now = JSON.stringify(pieces);
  if (said.get(node) === now) return;
  said.set(node, now);
  node.replaceChildren(
    ...pieces.map((piece) => (typeof piece === "string" ? piece : isolated(piece.foreign))),
  );
}

export const listed = (values) =>
  values.flatMap((value, number) => (number ? [", ", of(value)] : [of(value)]));
