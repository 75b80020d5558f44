// The n most probable readings of a text, each with where it departs from the best one.

import { $, bar, element, percent } from "./dom.js";
import { mark } from "./marked.js";
import { t } from "./words.js";

const same = (a, b) => a.start === b.start && a.end === b.end && a.label === b.label;

const byStart = (a, b) => a.start - b.start || a.end - b.end;

// Places where two readings differ: [{start, end, was: [...], is: [...]}], overlaps in one.
export function differences(best, other) {
  const was = best.filter((entity) => !other.some((o) => same(o, entity)));
  const is = other.filter((entity) => !best.some((b) => same(b, entity)));
  const all = [...was.map((entity) => ({ entity, side: "was" })), ...is.map((entity) => ({ entity, side: "is" }))]
    .sort((a, b) => byStart(a.entity, b.entity));
  const places = [];
  for (const { entity, side } of all) {
    const last = places.at(-1);
    if (last && entity.start < last.end) {
      last.end = Math.max(last.end, entity.end);
      last[side].push(entity);
    } else {
      places.push({ start: entity.start, end: entity.end, was: [], is: [], [side]: [entity] });
    }
  }
  return places;
}

const CONTEXT = 24; // characters on each side of a difference

// What stands around a difference, cut between words where there are any.
function context(points, start, end) {
  const before = points.slice(Math.max(0, start - CONTEXT), start).join("");
  const after = points.slice(end, end + CONTEXT).join("");
  return [
    start > CONTEXT ? `…${before.replace(/^\S{0,12}\s+/u, "")}` : before,
    end + CONTEXT < points.length ? `${after.replace(/\s+\S{0,12}$/u, "")}…` : after,
  ];
}

// The piece of the text from `start` to `end`, with the entities that this reading has there.
function piece(points, start, end, entities) {
  const nodes = [];
  let at = start;
  for (const entity of entities) {
    nodes.push(points.slice(at, entity.start).join(""), mark(entity, entity.text));
    at = entity.end;
  }
  nodes.push(points.slice(at, end).join(""));
  return nodes;
}

const names = (entities) =>
  entities.map(({ text, label }) => t("readings.as", { text, label })).join(t("readings.and")) || t("readings.noname");

function inWords(was, is) {
  const [a, b] = [was[0], is[0]];
  if (was.length === 1 && is.length === 1 && a.start === b.start && a.end === b.end) {
    return t("readings.instead", { is: b.label, was: a.label });
  }
  if (!is.length) return t("readings.not", { was: names(was) });
  return was.length ? t("readings.other", { is: names(is), was: names(was) }) : t("readings.new");
}

function difference(points, { start, end, was, is }) {
  const [before, after] = context(points, start, end);
  return element("div", { class: "difference" },
    element("p", { class: "quote", dir: "auto" }, before,
      element("ins", {}, ...piece(points, start, end, is)), after),
    element("p", { class: "quiet small" }, inWords(was, is)));
}

function bestReading({ entities }) {
  if (!entities.length) return [element("p", { class: "quiet" }, t("readings.nothing"))];
  return [element("p", { class: "quote names" }, ...entities.slice(0, 40).map((entity) => mark(entity, entity.text)),
    entities.length > 40 ? t("readings.more", { n: entities.length - 40 }) : "")];
}

function reading(points, path, index, best) {
  const body = index === 0
    ? bestReading(path)
    : differences(best.entities, path.entities).map((place) => difference(points, place));
  return element("li", { class: "reading" },
    element("div", { class: "reading-head" },
      element("span", { class: "rank" }, index === 0 ? t("readings.best") : `${index + 1}`),
      bar(path.score, index === 0 ? 0 : 7), element("span", { class: "tabular" }, percent(path.score))),
    element("div", { class: "reading-body" }, ...body));
}

export function showReadings(text, paths) {
  const points = [...text];
  const sum = paths.reduce((total, { score }) => total + score, 0);
  $("readings-sum").textContent = paths.length === 1
    ? t("readings.one")
    : t("readings.sum", { n: paths.length, share: percent(Math.min(1, sum)) });
  $("readings").replaceChildren(...paths.map((path, index) => reading(points, path, index, paths[0])));
}
