// The models: which there are, which one tags, and the card of the one that was chosen.

import { $, element } from "./dom.js";
import { call } from "./api.js";
import { hueOf, meaning } from "./labels.js";

const AUTO = "auto";
const NAMES = { word: "words", character: "characters" };
let served = [];
let standard = "";

const languages = new Intl.DisplayNames(["en"], { type: "language", fallback: "code" });

const languageOf = ({ language }) => (language ? languages.of(language) : "Not stated");

const spelled = ({ name, version }) => `${name}@${version}`;

// What requests are to say: nothing for the default of a server with one model.
export const chosenModel = () => (served.length > 1 ? $("model").value : null);

// The model behind a name, with or without @version; undefined for auto.
const modelNamed = (name) =>
  served.find((model) => model.name === name || spelled(model) === name);

const current = () => modelNamed(chosenModel() ?? standard);

export const currentLanguages = () =>
  new Set((current() ? [current()] : served).map(({ language }) => language.split("-")[0]));

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
    element("p", { class: "model-name" }, model.name, element("span", { class: "quiet" }, ` version ${model.version}`)),
    element("p", {}, model.description || "No description."),
    element("p", { class: "row tags" }, ...labelChips(model.labels)),
    element("dl", { class: "facts" },
      row("Language", languageOf(model)),
      row("Tags", NAMES[model.unit] ?? model.unit),
      ...Object.entries(model.metrics ?? {}).map(figure).filter(Boolean),
      ...(licence ? [row("Licence", licence)] : []),
      row("Digest", element("code", { title: model.digest }, model.digest.slice(0, 12)))),
  ];
}

function autoCard() {
  return [
    element("p", {}, "Takes the model that fits the script of each text: a model of Chinese where most letters are Han, another one otherwise."),
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
  element("option", { value }, isDefault ? `${text} (default)` : text);

// Several versions of one model are told apart by name@version.
function options() {
  const names = served.map(({ name }) => name);
  return served.map((model) => {
    const several = names.indexOf(model.name) !== names.lastIndexOf(model.name);
    return option(several ? spelled(model) : model.name, several ? spelled(model) : model.name,
      model.name === standard && !several);
  });
}

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
  $("model").replaceChildren(...(served.length > 1 ? [option(AUTO, "auto (by script)")] : []), ...options());
  $("model-choice").hidden = served.length < 2;
  chooseModel(several ? AUTO : standard);
  if (before) chooseModel(before); // asked for again, behind an error
}
