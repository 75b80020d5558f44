// The belt: a sentence that is read token by token, and what the memory still holds of each.

import { element } from "./dom.js";
import { hueOf } from "./labels.js";
import { bold, hinted, says, svg, toneOf, percentOf } from "./pictures.js";
import { nameOfShare } from "./trace.js";
import { rich, t } from "./words.js";

const AROUND = 2 * Math.PI * 15;
const HIGH = 88; // of the arcs, in pixels

function gauge(gate) {
  const arc = svg("circle", { class: "arc", cx: 19, cy: 19, r: 15 });
  arc.style.stroke = `var(${toneOf(gate)})`;
  const value = element("span", { class: "value" });
  const node = element("div", { class: "gauge" },
    svg("svg", { viewBox: "0 0 38 38", "aria-hidden": "true" }, svg("circle", { class: "ring", cx: 19, cy: 19, r: 15 }), arc),
    element("span", {}, t(`inside.gate.${gate}`), element("br"), value));
  return { node, show: (share) => {
    arc.style.strokeDasharray = `${AROUND * share} ${AROUND}`;
    value.textContent = percentOf(share);
  } };
}

// What happened at token i, in a line of words.
function story(track, i) {
  const word = bold(track.words[i]);
  if (track.place(i) === 0) return rich("inside.story.first", { word });
  const dropped = track.dropped(i);
  const first = dropped
    ? rich("inside.story.gate", { word, gate: t(`inside.gate.${dropped.gate}`), drop: t(`inside.drop.${nameOfShare(dropped.share)}`) })
    : rich("inside.story.plain", { word });
  const left = track.remembered(i);
  if (!left.length) return [...first, " ", t("inside.story.nothing")];
  const list = left.flatMap(({ j, share }, k) => [k ? t("inside.story.comma") : "", bold(track.words[j]), ` ${percentOf(share)}`]);
  return [...first, " ", ...rich("inside.story.left", { list: "\0" }).flatMap((part) => (part === "\0" ? list : part))];
}

// An arc from a word to the one that is read, as thick as what is left.
function arcs(track, stage, boxes, lines, i) {
  const from = stage.getBoundingClientRect();
  if (!from.width) return; // it is not on the page yet
  const middle = (box) => {
    const { left, width } = box.getBoundingClientRect();
    return left - from.left + width / 2;
  };
  stage.setAttribute("viewBox", `0 0 ${from.width} ${HIGH}`);
  const to = middle(boxes[i]);
  lines.forEach((line, j) => {
    const share = j === i ? 0 : Math.min(1, track.left(j, i));
    const start = middle(boxes[j]);
    const [across, high] = [Math.abs(to - start) / 2, 12 + (HIGH - 20) * Math.sqrt(Math.abs(to - start) / from.width)];
    line.setAttribute("d", `M ${start} ${HIGH} A ${across} ${high} 0 0 ${start < to ? 1 : 0} ${to} ${HIGH}`);
    line.style.strokeWidth = `${0.5 + 9 * share}px`;
    line.style.opacity = share < 0.02 ? 0 : 0.18 + 0.7 * share;
  });
}

// The belt of one track. `choose(i)` is called when a word is. Gives {node, at(i), move(isMoving)}.
export function makeBelt(track, choose, lang) {
  const gauges = Object.fromEntries(track.gates.map((gate) => [gate, gauge(gate)]));
  const lines = track.words.map(() => svg("path", { class: "arc-line" }));
  const stage = svg("svg", { class: "arcs", "aria-hidden": "true", preserveAspectRatio: "none" }, ...lines);
  let now = 0;
  const shares = track.words.map(() => element("span", { class: "share" }));
  const boxes = track.words.map((word, i) => {
    const label = track.label[i];
    const box = element("button", { type: "button", class: "box", ...(label && { "data-hue": hueOf(label) }), ...(lang && { lang }) },
      element("bdi", {}, word), element("small", {}, label));
    box.addEventListener("click", () => choose(i));
    return hinted(box, () => (i === now ? t("inside.belt.now", { word }) : track.place(i) > track.place(now)
      ? t("inside.belt.ahead", { word }) : t("inside.belt.left", { word, share: percentOf(track.left(i, now)), now: track.words[now] })));
  });
  const roller = element("div", { class: track.isBackward ? "roller back" : "roller", "aria-hidden": "true" });
  const rail = element("div", { class: "rail" }, stage,
    ...boxes.map((box, i) => element("div", { class: "place" }, box, shares[i])), roller);
  rail.style.setProperty("--count", track.count);
  const line = says();
  const head = element("div", { class: "belt-head" },
    element("p", { class: "who" }, element("b", {}, track.cell), element("span", { class: "quiet" }, track.name === track.cell ? "" : ` ${track.name}`)),
    element("div", { class: "gauges" }, ...Object.values(gauges).map(({ node }) => node),
      ...(track.gates.length ? [] : [element("p", { class: "quiet small" }, t("inside.nogates"))])));
  const at = (i) => {
    now = i;
    const seen = track.place(i);
    boxes.forEach((box, j) => {
      const isAhead = track.place(j) > seen;
      box.classList.toggle("ahead", isAhead);
      if (j === i) box.setAttribute("aria-current", "step");
      else box.removeAttribute("aria-current");
      const share = isAhead ? 0 : Math.min(1, track.left(j, i));
      box.style.setProperty("--left", `${(j === i ? 0 : 70 * share).toFixed(1)}%`);
      shares[j].textContent = isAhead || j === i ? "" : percentOf(track.left(j, i));
    });
    for (const [gate, { show }] of Object.entries(gauges)) show(track.way.gates[gate][i]);
    line.replaceChildren(...story(track, i));
    arcs(track, stage, boxes, lines, i);
  };
  new ResizeObserver(() => arcs(track, stage, boxes, lines, now)).observe(rail);
  return { rail, head, line, at, here: () => boxes[now], move: (isMoving) => roller.classList.toggle("moving", isMoving) };
}
