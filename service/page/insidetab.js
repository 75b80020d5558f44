// The Inside tab: which models to look into, and what they did with the text.

import { $, element } from "./dom.js";
import { call, callPatiently } from "./api.js";
import { showInside } from "./inside.js";
import { languageOfModel, servedModels } from "./models.js";
import { URL_PATH } from "./request.js";
import { t } from "./words.js";

const PATH = "/v1/inspect";
const MOST = 3; // models at one time
const TRIES = 4;
const ORDER = ["rnn", "lstm", "gru"]; // as their history goes
const HAN = /\p{Script=Han}/u;

const state = { offer: null, chosen: [], text: null, replies: new Map(), view: null };

const isTooLong = ({ type = "" }) => type.endsWith("#too-long");

// The small models of the script that the text is in.
function smallModels(text) {
  const language = HAN.test(text) ? "zh" : "en";
  return state.offer.small_models.filter((one) => one.language.startsWith(language))
    .sort((a, b) => ORDER.indexOf(a.cell) - ORDER.indexOf(b.cell));
}

// The beginning of a text that is too long, or null. The tokens are those that are tagged.
async function beginning(text, model, signal) {
  const body = { text, include: ["tokens"], ...(model && { model }) };
  const { tokens } = (await callPatiently(URL_PATH, { body, signal, tries: TRIES })).reply.results[0];
  if (tokens.length <= state.offer.tokens) return null;
  return { text: [...text].slice(0, tokens[state.offer.tokens - 1].end).join(""), all: tokens.length };
}

async function inspected(text, model, signal) {
  const key = JSON.stringify([model, text]);
  if (!state.replies.has(key)) {
    const body = { text, model, occlude: true, vectors: true };
    state.replies.set(key, (await callPatiently(PATH, { body, signal, tries: TRIES })).reply);
  }
  return state.replies.get(key);
}

function toggle(name) {
  if (state.chosen.includes(name)) state.chosen = state.chosen.filter((other) => other !== name);
  else state.chosen = [...state.chosen, name].slice(-MOST);
}

function choices(small, again) {
  const chip = (name, label) => {
    const node = element("button", { type: "button", class: "pill", "data-model": name, "aria-pressed": String(state.chosen.includes(name)) }, label);
    node.addEventListener("click", () => {
      toggle(name);
      if (!state.chosen.length) state.chosen = [name]; // one is always shown
      again();
    });
    return node;
  };
  const compare = element("button", { type: "button", class: "primary", id: "inside-compare" }, t("inside.compare"));
  compare.addEventListener("click", () => {
    state.chosen = small.map(({ name }) => name).slice(0, MOST);
    again();
  });
  return element("div", { class: "inside-head" },
    element("p", { class: "quiet" }, t("inside.lede")),
    element("div", { class: "row", role: "group", "aria-label": t("inside.models") },
      ...servedModels().map(({ name }) => chip(name, name)), ...small.map(({ name, cell }) => chip(name, t("inside.small", { cell }))),
      ...(small.length ? [compare] : [])));
}

const told = (title, detail) => [element("p", { class: "says" }, title), element("p", { class: "quiet", lang: "en" }, detail)];

// Shows the text in the panel. `answered` is the model that tagged it, `model` what was asked for.
export async function lookInside({ text, model, answered, signal }) {
  const panel = $("panel-inside");
  const again = async () => {
    const { activeElement } = document;
    const focused = panel.contains(activeElement) ? activeElement.dataset.model ?? activeElement.id : null;
    await lookInside({ text, model, answered, signal: undefined });
    if (focused) panel.querySelector(`[data-model="${CSS.escape(focused)}"], #${CSS.escape(focused)}`)?.focus();
  };
  state.view?.stop();
  if (text !== state.text) state.replies.clear();
  state.text = text;
  panel.setAttribute("aria-busy", "true");
  try {
    state.offer ??= (await call(PATH, { signal })).reply;
    const small = smallModels(text);
    const known = [...servedModels(), ...small].map(({ name }) => name);
    state.chosen = state.chosen.filter((name) => known.includes(name));
    if (!state.chosen.length) state.chosen = [known.find((name) => answered === name || answered.startsWith(`${name}@`)) ?? known[0]];
    const cut = await beginning(text, model, signal);
    const shown = cut?.text ?? text;
    const replies = [];
    for (const name of state.chosen) replies.push(await inspected(shown, name, signal));
    if (text !== state.text) return;
    const view = element("div", { class: "pictures" });
    panel.replaceChildren(choices(small, again),
      ...(cut ? [element("p", { class: "note" }, t("inside.cut", { n: state.offer.tokens, all: cut.all }))] : []), view);
    state.view = showInside(view, replies, { lang: languageOfModel(answered) });
  } catch (error) {
    if (!error.title) throw error; // a fault of this page, or an end that was asked for
    const isOff = error.status === 404 && !state.offer;
    const title = isOff ? t("inside.off") : isTooLong(error) ? t("inside.toolong") : t("inside.failed");
    panel.replaceChildren(...(state.offer ? [choices(smallModels(text), again)] : []), ...told(title, `${error.title}. ${error.detail}`));
  } finally {
    panel.removeAttribute("aria-busy");
  }
}

export const leaveInside = () => state.view?.stop();
