// Small things of the document. Elements only, never markup: text goes in by textContent.

import { languageTag, t } from "./words.js";

export const $ = (id) => document.getElementById(id);

export function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "boolean") node.toggleAttribute(key, value);
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

export function table(caption, columns, rows) {
  const head = columns.map(([text, kind]) =>
    element("th", { scope: "col", ...(kind && { class: kind }) }, text));
  return element("table", {},
    element("caption", { class: "offscreen" }, caption),
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...rows));
}

export const cell = (kind, ...children) => element("td", kind ? { class: kind } : {}, ...children);

// A bar for a share of one. Its length is set through the CSSOM, which the policy allows.
export function bar(share, hue) {
  const node = element("span", { class: "bar-of", "aria-hidden": "true", ...(hue !== undefined && { "data-hue": hue }) });
  node.style.setProperty("--share", share.toFixed(4));
  return node;
}

// Never 100% or 0% for what is not: 99.97% would read as certain, 0.004% as impossible.
export function percent(score) {
  if (score > 0.999 && score < 1) return ">99.9%";
  if (score > 0 && score < 0.001) return "<0.1%";
  return `${(100 * score).toFixed(score === 0 || score === 1 ? 0 : 1)}%`;
}

export const whole = (number) => number.toLocaleString(languageTag());

export const milliseconds = (value) => `${value < 10 ? value.toFixed(1) : whole(Math.round(value))} ms`;

export function bytes(size) {
  const steps = ["", "kB", "MB", "GB"];
  const step = size < 1000 ? 0 : Math.min(3, Math.floor(Math.log10(size) / 3));
  return step ? `${(size / 1000 ** step).toFixed(1)} ${steps[step]}` : t("bytes", { n: size });
}

// Shows `rows` a screenful at a time: tens of thousands at once would freeze the page.
export function growing(rows, make, into, step = 200) {
  let shown = 0;
  const more = element("button", { type: "button", class: "link more" });
  const grow = () => {
    into.append(...rows.slice(shown, shown + step).map((row, index) => make(row, shown + index)));
    shown = Math.min(rows.length, shown + step);
    more.hidden = shown === rows.length;
    more.textContent = t("table.more", { n: rows.length - shown });
  };
  more.addEventListener("click", grow);
  grow();
  return more;
}

let toastTimer;

export function toast(text) {
  $("toast").textContent = text;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { $("toast").textContent = ""; }, 4000);
}
