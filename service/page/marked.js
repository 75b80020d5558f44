// A text with its entities marked. Offsets count code points, so a text is a list of them.

import { element, percent } from "./dom.js";
import { hueOf } from "./labels.js";
import { hideDetails, leaveDetails, showDetails } from "./details.js";

// The label stands there by the style sheet: who copies the text copies the text alone.
export function mark(entity, text, attributes = {}) {
  const { label } = entity;
  const node = element("mark", { "data-hue": hueOf(label), "data-tag": label, ...attributes },
    element("bdi", {}, text));
  if (entity.score !== undefined) node.style.setProperty("--score", entity.score.toFixed(3));
  return node;
}

// Nodes for the whole text. `make(entity, text)` gives what stands for an entity.
export function markedNodes(points, entities, make = mark) {
  const slice = (start, end) => points.slice(start, end).join("");
  const nodes = [];
  let end = 0;
  for (const entity of entities) {
    nodes.push(slice(end, entity.start), make(entity, slice(entity.start, entity.end)));
    end = entity.end;
  }
  nodes.push(slice(end));
  return nodes.filter((node) => node !== "");
}

const lengthOf = (points) => points.reduce((sum, point) => sum + point.length, 0);

// UTF-16 offsets of each entity, in one pass over the text.
function utf16Spans(points, entities) {
  let units = 0;
  let before = 0;
  return entities.map(({ start, end }) => {
    units += lengthOf(points.slice(before, start));
    const first = units;
    units += lengthOf(points.slice(start, end));
    before = end;
    return [first, units];
  });
}

// One stop for Tab; the arrows go on from mark to mark.
function move(event, marks) {
  const at = marks.indexOf(event.currentTarget);
  const rtl = getComputedStyle(event.currentTarget.parentElement).direction === "rtl";
  const steps = {
    ArrowRight: at + (rtl ? -1 : 1), ArrowLeft: at + (rtl ? 1 : -1),
    ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: marks.length - 1,
  };
  const to = marks[steps[event.key]];
  if (!(event.key in steps)) return;
  event.preventDefault();
  if (!to) return;
  event.currentTarget.tabIndex = -1;
  to.tabIndex = 0;
  to.focus();
}

function watch(node, entity, utf16, marks) {
  const show = () => showDetails(node, entity, utf16);
  node.addEventListener("mouseenter", show);
  node.addEventListener("mouseleave", () => leaveDetails(node));
  node.addEventListener("focus", show);
  node.addEventListener("blur", () => leaveDetails(node));
  node.addEventListener("click", () => {
    node.focus();
    show();
  });
  node.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      if (!hideDetails()) show();
    } else {
      move(event, marks);
    }
  });
}

// Fills `into` with the text. Gives the marks, one for each entity.
export function showMarked(into, points, entities) {
  hideDetails();
  const spans = utf16Spans(points, entities);
  const marks = [];
  const make = (entity, text) => {
    const node = mark(entity, text, {
      role: "button", tabindex: marks.length ? "-1" : "0",
      "aria-label": `${text}, ${entity.label}, ${percent(entity.score)}`,
    });
    watch(node, entity, spans[marks.length], marks);
    marks.push(node);
    return node;
  };
  into.replaceChildren(...markedNodes(points, entities, make));
  return marks;
}
