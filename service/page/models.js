// The models: which there are, which one tags, and the card of the one that was chosen.

import { $, element } from "./dom.js";
import { call } from "./api.js";
import { hueOf, meaning } from "./labels.js";
import { languageTag, t } from "./words.js";

const AUTO = "auto";
const UNITS = { word: "model.tags.word", character: "model.tags.character" };
let served = [];
let standard = "";

const languageOf = ({ language }) => (language
  ? new Intl.DisplayNames([languageTag()], { type: "language", fallback: "code" }).of(language)
  : t("model.unstated"));

const spelled = ({ name, version }) => `${name}@${version}`;

// What requests are to say: nothing for the default of a server with one model.
export const chosenModel = () => (served.length > 1 ? $("model").value : null);

// The model behind a name, with or without @version; undefined for auto.
const modelNamed = (name) =>
  served.find((model) => model.name === name || spelled(model) === name);

const current = () => modelNamed(chosenModel() ?? standard);

// Those that a request may be answered by: the chosen one, with auto all.
export const currentModels = () => (current() ? [current()] : served);

const union = (models) => [...new Set(models.flatMap(({ labels }) => labels))].sort();

// The labels that a request to the chosen model may name; of auto those of all models.
export const requestLabels = () => (current() ? [...current().labels] : union(served));

const row = (name, ...value) => element("div", {}, element("dt", {}, name), element("dd", {}, ...value));

function figure([name, value]) {
  if (typeof value !== "number") return null;
  const share = value > 0 && value <= 1;
  return row(name.replaceAll("_", " ").replace(/\bf1\b/, "F1"), share ? `${(100 * value).toFixed(1)}%` : String(value));
}

function labelChips(labels) {
  return labels.map((label) => element("span",
    { class: "tag", "data-hue": hueOf(label), ...(meaning(label) && { title: meaning(label) }) }, label));
}

function card(model) {
  const licence = model.licence ?? model.license;
  return [
    element("p", { class: "model-name" }, model.name, element("span", { class: "quiet" }, ` ${t("model.version", { version: model.version })}`)),
    element("p", {}, model.description || t("model.undescribed")),
    element("p", { class: "row tags" }, ...labelChips(model.labels)),
    element("dl", { class: "facts" },
      row(t("model.language"), languageOf(model)),
      row(t("model.tags"), model.unit in UNITS ? t(UNITS[model.unit]) : model.unit),
      ...Object.entries(model.metrics ?? {}).map(figure).filter(Boolean),
      ...(licence ? [row(t("model.licence"), licence)] : []),
      row(t("model.digest"), element("code", { title: model.digest }, model.digest.slice(0, 12)))),
  ];
}

function autoCard() {
  return [
    element("p", {}, t("model.auto.about")),
    element("ul", { class: "models" }, ...served.map((model) => element("li", {},
      element("span", { class: "model-name" }, model.name), element("span", { class: "quiet" }, ` ${languageOf(model)}`),
      element("span", { class: "row tags" }, ...labelChips(model.labels))))),
  ];
}

export function showCard() {
  const model = current();
  $("model-card").replaceChildren(...(model ? card(model) : autoCard()));
}

const option = (value, text, isDefault) =>
  element("option", { value }, isDefault ? t("model.default", { name: text }) : text);

// Several versions of one model are told apart by name@version.
const chosenName = (model) =>
  (served.filter(({ name }) => name === model.name).length > 1 ? spelled(model) : model.name);

const options = () => served.map((model) =>
  option(chosenName(model), chosenName(model), chosenName(model) === standard));

export function chooseModel(name) {
  if ([...$("model").options].some(({ value }) => value === name)) $("model").value = name;
  showCard();
}

// Asks for the models. Throws a Problem.
export async function loadModels() {
  const { reply } = await call("/v1/models");
  const before = $("model").value;
  served = reply.models.filter(({ state = "loaded" }) => state === "loaded");
  standard = reply.default;
  const several = new Set(served.map(({ language }) => language)).size > 1;
  showModels();
  chooseModel(several ? AUTO : standard);
  if (before) chooseModel(before); // asked for again, behind an error
}

// The list of models and the card, in the language of the page; what is chosen stays.
export function showModels() {
  const before = $("model").value;
  $("model").replaceChildren(...(served.length > 1 ? [option(AUTO, t("model.auto"))] : []), ...options());
  $("model-choice").hidden = served.length < 2;
  if (before) chooseModel(before);
}

// The language of the model that answered, by name@version; "" where it is not known.
export const languageOfModel = (full) => served.find((model) => spelled(model) === full)?.language ?? "";

// All that are served, as {name, language}; one without versions of its own by its bare name.
export const servedModels = () => served.map((model) =>
  ({ name: chosenName(model), language: model.language }));
