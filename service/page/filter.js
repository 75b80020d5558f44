// Which entities are shown. It works on what is here already, without asking the server again.

import { $, element } from "./dom.js";
import { hueOf, meaning } from "./labels.js";
import { t } from "./words.js";

export const filter = { off: new Set(), least: 0 };

export const keeps = ({ label, score }) => !filter.off.has(label) && score >= filter.least;

// The same filter as members of a request. `labels` are all those of the model.
export function asMembers(labels) {
  const on = labels.filter((label) => !filter.off.has(label));
  return {
    ...(on.length && on.length < labels.length && { labels: on }),
    ...(filter.least > 0 && { min_score: filter.least }),
  };
}

// In words, for what a file is tagged with; empty when nothing is left out.
export function inWords(labels) {
  const { labels: on, min_score: least } = asMembers(labels);
  const parts = [on?.join(", "), least && t("files.least", { share: `${Math.round(100 * least)}%` })];
  return parts.filter(Boolean).join(", ");
}

function toggle(label, labels) {
  if (!filter.off.delete(label)) filter.off.add(label);
  // With nothing left the last one switches all on again: an empty choice says nothing.
  if (labels.every((other) => filter.off.has(other))) filter.off.clear();
}

function chip(label, number, isOn) {
  const title = meaning(label);
  return element("button", {
    type: "button", class: "label-chip", "data-hue": hueOf(label), "data-label": label,
    "aria-pressed": String(isOn), ...(title && { title }),
  }, element("span", { class: "dot", "aria-hidden": "true" }), label,
  element("span", { class: "number-of" }, String(number)));
}

// Chips for the labels of `entities`, each with how many there are at this score.
export function showChips(entities, onChange) {
  const focused = document.activeElement?.dataset?.label;
  const counts = new Map();
  for (const { label, score } of entities) {
    counts.set(label, (counts.get(label) ?? 0) + (score >= filter.least ? 1 : 0));
  }
  for (const label of filter.off) if (!counts.has(label)) counts.set(label, 0);
  const labels = [...counts.keys()].sort();
  const chips = labels.map((label) => {
    const node = chip(label, counts.get(label), !filter.off.has(label));
    node.addEventListener("click", () => {
      toggle(label, labels);
      onChange();
    });
    return node;
  });
  $("labels").replaceChildren(...chips);
  chips.find((node) => node.dataset.label === focused)?.focus();
}

export function showLeast() {
  const value = Math.round(100 * filter.least);
  $("least").value = value;
  $("least-value").textContent = `${value}%`;
}

export function watchLeast(onChange) {
  $("least").addEventListener("input", () => {
    filter.least = Number($("least").value) / 100;
    showLeast();
    onChange();
  });
}
