// How long a call took, and what the server says of its share.

import { $, element, milliseconds } from "./dom.js";
import { t } from "./words.js";

const HUES = { network: 7, queue: 4, tokenize: 3, infer: 0, decode: 1, other: 5 };

// The whole call in parts. Where the header has a total, what its phases leave is told as well.
function segments(took, phases) {
  const known = phases.filter(([name]) => name in HUES);
  const sum = known.reduce((total, [, value]) => total + value, 0);
  const total = Object.fromEntries(phases).total ?? sum;
  const rest = total > sum ? [["other", total - sum]] : [];
  return [["network", Math.max(0, took - Math.max(total, sum))], ...known, ...rest];
}

// Without a Server-Timing header only the whole is known.
export function showTiming(took, phases) {
  const parts = segments(took, phases);
  const node = $("timing");
  node.hidden = parts.length < 2;
  if (node.hidden) return;
  const strip = element("div", { class: "strip", "aria-hidden": "true" }, ...parts.map(([name, value]) => {
    const segment = element("span", { "data-hue": HUES[name] });
    segment.style.flexGrow = value.toFixed(4);
    return segment;
  }));
  const list = element("dl", {}, ...parts.map(([name, value]) => element("div", {},
    element("dt", { "data-hue": HUES[name] }, t(`timing.${name}`)),
    element("dd", {}, milliseconds(value)))));
  node.replaceChildren(element("h3", {}, t("timing", { took: milliseconds(took) })), strip, list);
}
