// What pictures are made of: boards of coloured cells above words, a hint with the value at hand.

import { element } from "./dom.js";
import { t } from "./words.js";

const TONES = { forget: "--forget", update: "--forget", input: "--input", reset: "--input", output: "--output", candidate: "--plain", cell: "--plain", state: "--plain" };

export const toneOf = (name) => TONES[name] ?? "--plain";
export const percentOf = (share) => `${Math.round(100 * share)}%`;
export const bold = (text) => element("b", {}, element("bdi", {}, text));

const SVG = "http://www.w3.org/2000/svg";

export function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

let hint;

function hintNode() {
  if (!hint?.isConnected) {
    hint = element("div", { class: "hint", role: "status", hidden: true });
    document.body.append(hint);
  }
  return hint;
}

export function hideHint() {
  if (hint) hint.hidden = true;
}

export function showHint(text, x, y) {
  const node = hintNode();
  node.hidden = !text;
  node.textContent = text;
  const { width, height } = node.getBoundingClientRect();
  node.style.left = `${Math.max(8, Math.min(x + 14, innerWidth - width - 8))}px`;
  node.style.top = `${y + 20 + height > innerHeight ? y - height - 12 : y + 20}px`;
}

// A hint for what is not drawn on a canvas.
export function hinted(node, words) {
  node.addEventListener("pointermove", (event) => showHint(words(), event.clientX, event.clientY));
  node.addEventListener("pointerleave", hideHint);
  return node;
}

const colourOf = (node, name) => {
  node.style.color = `var(${name})`;
  return getComputedStyle(node).color;
};

// Columns as wide as their words; [[left, width], ...] within the canvas.
function columnsOf(canvas) {
  const words = [...canvas.closest(".board").querySelectorAll("[data-word]")];
  const from = canvas.getBoundingClientRect().left;
  return words.map((word) => {
    const { left, width } = word.getBoundingClientRect();
    return [left - from, width];
  });
}

// Rows of cells over the words. `value(i, u)` is drawn in its tone as strongly as |value| / top.
// `tell(i, u)` is the hint; `pick(u)` chooses a row; `marked(i, u)` frames a cell.
export function cells({ label, rows, height, value, tell, tone, top = 1, pick, marked, chosen = () => false }) {
  const canvas = element("canvas", { class: pick ? "cells pickable" : "cells", tabindex: "0", role: "img", "aria-label": t("inside.cells", { label }) });
  canvas.style.height = `${rows * height}px`;
  let at = null; // the cell that the keyboard is on
  const paint = () => {
    const columns = columnsOf(canvas);
    const { width } = canvas.getBoundingClientRect();
    if (!width) return;
    const ratio = devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(rows * height * ratio);
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    const [plus, minus, ink] = [colourOf(canvas, tone), colourOf(canvas, "--minus"), colourOf(canvas, "--ink")];
    const gap = height > 9 ? 1.5 : height > 4 ? 0.5 : 0;
    columns.forEach(([left, wide], i) => {
      for (let u = 0; u < rows; u += 1) {
        const amount = value(i, u);
        context.globalAlpha = 0.035 + 0.965 * Math.min(1, Math.abs(amount) / top);
        context.fillStyle = amount < 0 ? minus : plus;
        context.beginPath();
        context.roundRect(left + 1.5, u * height + gap, wide - 3, height - 2 * gap, height > 9 ? 4 : 0);
        context.fill();
        context.globalAlpha = 1;
        const isHere = at && at[0] === i && at[1] === u;
        if (!isHere && !marked?.(i, u)) continue;
        context.strokeStyle = ink;
        context.lineWidth = isHere ? 2 : 1.5;
        context.stroke();
      }
    });
    for (let u = 0; u < rows; u += 1) {
      if (!chosen(u)) continue;
      context.strokeStyle = ink;
      context.lineWidth = 1.5;
      context.strokeRect(0.75, u * height + 0.75, width - 1.5, height - 1.5);
    }
  };
  const cellAt = (event) => {
    const box = canvas.getBoundingClientRect();
    const x = event.clientX - box.left;
    const i = columnsOf(canvas).findIndex(([left, wide]) => x >= left - 2 && x <= left + wide + 2);
    const u = Math.min(rows - 1, Math.max(0, Math.floor((event.clientY - box.top) / height)));
    return i === -1 ? null : [i, u];
  };
  const point = (event) => {
    const found = cellAt(event);
    if (found) showHint(tell(...found), event.clientX, event.clientY);
    else hideHint();
  };
  canvas.addEventListener("pointermove", point);
  canvas.addEventListener("pointerdown", point);
  canvas.addEventListener("pointerleave", hideHint);
  canvas.addEventListener("click", (event) => {
    const found = cellAt(event);
    if (found) pick?.(found[1]);
  });
  const tellAt = () => {
    const [left, wide] = columnsOf(canvas)[at[0]];
    const box = canvas.getBoundingClientRect();
    showHint(tell(...at), box.left + left + wide / 2 - 14, box.top + (at[1] + 1) * height);
    paint();
  };
  canvas.addEventListener("focus", () => {
    if (!canvas.matches(":focus-visible")) return;
    at = [0, 0];
    tellAt();
  });
  canvas.addEventListener("blur", () => {
    at = null;
    hideHint();
    paint();
  });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
    if (event.key === "Enter" && at) pick?.(at[1]);
    if (!step) return;
    event.preventDefault();
    at ??= [0, 0];
    const last = [columnsOf(canvas).length - 1, rows - 1];
    at = at.map((place, axis) => Math.min(last[axis], Math.max(0, place + step[axis])));
    tellAt();
  });
  canvas.paint = paint;
  return canvas;
}

const painted = new ResizeObserver((entries) => {
  for (const { target } of entries) target.querySelectorAll("canvas").forEach((canvas) => canvas.paint?.());
});

export const repaint = (root) => root.querySelectorAll("canvas").forEach((canvas) => canvas.paint?.());

// Rows [[name, node], ...] with the words below; all boards of a sentence have the same columns.
export function board(words, rows, lang) {
  const node = element("div", { class: "board" },
    ...rows.flatMap(([name, row]) => [element("div", { class: "name", title: name }, name), row]),
    element("div", { class: "name" }),
    ...words.map((word, i) => element("div", { class: "word", "data-word": String(i), ...(lang && { lang }) }, word)));
  node.style.setProperty("--count", words.length);
  painted.observe(node);
  return node;
}

// A board that is wider than the page scrolls by itself.
export const scroller = (...children) => element("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": t("inside.scroll") }, ...children);

export const says = (...words) => element("p", { class: "says" }, ...words);

export const picture = (title, ...parts) => element("section", { class: "picture" }, element("h3", {}, title), ...parts);
