// The page's own words, in the language that was chosen or that the browser speaks.

import { en } from "./en.js";
import { zh } from "./zh.js";
import { lasting } from "./storage.js";

const STRINGS = { en, zh };
const TAGS = { en: "en", zh: "zh-Hans" };
const NAMES = { en: "English", zh: "中文" };
const OTHER = { en: "zh", zh: "en" };
const SLOT = /(\{[^}]*\})/;

const known = (tags) => tags.map((tag) => tag.split("-")[0].toLowerCase()).find((tag) => tag in STRINGS);
let language = known([lasting.get("language") ?? "", ...navigator.languages]) ?? "en";

export const languageTag = () => TAGS[language];

export const hasWords = (key) => key in STRINGS[language];

// The words of a key as a list of strings, and of the nodes among `values`.
export function rich(key, values = {}) {
  if (!hasWords(key)) throw new Error(`there are no words for ${key}`);
  return STRINGS[language][key].split(SLOT).filter(Boolean).map((part) => {
    if (!SLOT.test(part)) return part;
    const [name, one, many] = part.slice(1, -1).split("|");
    const value = values[name];
    if (value === undefined) throw new Error(`${key} needs ${name}`);
    if (many !== undefined) return value === 1 ? one : many;
    return typeof value === "number" ? value.toLocaleString(languageTag()) : value;
  });
}

export const t = (key, values) => rich(key, values).join("");

// What an element's words go to, by the attribute that has their key.
const PLACES = {
  "data-t": (node, text) => { node.textContent = text; },
  "data-t-label": (node, text) => node.setAttribute("aria-label", text),
  "data-t-title": (node, text) => { node.title = text; },
  "data-t-placeholder": (node, text) => { node.placeholder = text; },
};

function show() {
  document.documentElement.lang = languageTag();
  for (const [attribute, put] of Object.entries(PLACES)) {
    for (const node of document.querySelectorAll(`[${attribute}]`)) put(node, t(node.getAttribute(attribute)));
  }
  const button = document.getElementById("language");
  button.querySelector("span").textContent = NAMES[OTHER[language]];
  button.lang = TAGS[OTHER[language]];
}

// Fills in the words, and again when the other language is chosen; `onChange` does the rest.
export function watchLanguage(onChange = () => {}) {
  document.getElementById("language").addEventListener("click", () => {
    language = OTHER[language];
    lasting.set("language", language);
    show();
    onChange();
  });
  show();
}
