// Entity labels: what they mean, and their colours, the same for every model.

import { hasWords, t } from "./words.js";

// Hues of the style sheet. Labels that mean the same share one, so that models can be compared.
const KNOWN = { PER: 0, PERSON: 0, NAME: 0, LOC: 1, GPE: 1, ORG: 2, MISC: 3 };
const HUES = 8;
const given = new Map();

export function meaning(label) {
  const key = `meaning.${label.toUpperCase()}`;
  return hasWords(key) ? t(key) : "";
}

export function hueOf(label) {
  if (label in KNOWN) return KNOWN[label];
  if (!given.has(label)) given.set(label, 3 + (given.size % (HUES - 3)));
  return given.get(label);
}
