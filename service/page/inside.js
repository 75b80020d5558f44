// Inside the cell: pictures of what one model, or several, did with the same sentence.

import { element } from "./dom.js";
import { hueOf } from "./labels.js";
import { makeBelt } from "./belt.js";
import { board, bold, cells, hideHint, picture, repaint, says, scroller, svg, toneOf, percentOf } from "./pictures.js";
import { Track, indexOfLeast, indexOfMost, liveliest, mean, sentenceAt } from "./trace.js";
import { rich, t } from "./words.js";

const PAUSE = 900; // milliseconds a token
const GATES = ["forget", "update", "input", "reset", "output"];
const LINES = ["--hue-0", "--hue-2", "--hue-1"];

const button = (text, press, attributes = {}) => {
  const node = element("button", { type: "button", ...attributes }, text);
  node.addEventListener("click", press);
  return node;
};

// Scrolls sideways, and only where a word is cut off.
function bringIn(box) {
  const scroll = box.closest(".scroll");
  const [inner, outer] = [box.getBoundingClientRect(), scroll.getBoundingClientRect()];
  if (inner.left >= outer.left && inner.right <= outer.right) return;
  scroll.scrollLeft += inner.left - outer.left - scroll.clientWidth / 2;
}

const heightOf = (units) => Math.max(1.25, Math.min(7, Math.floor(170 / units)));

// Shows inspections in `into`; `lang` is that of their text. Gives {repaint, stop}.
export function showInside(into, inspections, { lang = "" } = {}) {
  const state = { sentence: 0, layer: 0, direction: "forward", now: null, unit: null, entity: 0, timer: null };
  let tracks = [];
  let belts = [];
  let slider;
  let player;

  const words = () => tracks[0].words;

  function stop() {
    clearInterval(state.timer);
    state.timer = null;
    if (player) player.textContent = t("inside.play");
    belts.forEach(({ move }) => move(false));
    hideHint();
  }

  // Moves every belt to token i of the first track, the others to the same place of the text.
  function at(i) {
    state.now = i;
    const { start } = tracks[0].sentence.tokens[i];
    slider.value = tracks[0].place(i);
    slider.setAttribute("aria-valuetext", words()[i]);
    belts.forEach(({ at: go }, k) => go(k ? tracks[k].tokenAt(start) : i));
    belts.forEach(({ here }) => bringIn(here()));
  }

  const step = (by) => tracks[0].order[tracks[0].place(state.now) + by];

  function go(by) {
    stop();
    const next = step(by);
    if (next !== undefined) at(next);
  }

  function play() {
    if (step(1) === undefined) at(tracks[0].order[0]);
    player.textContent = t("inside.pause");
    belts.forEach(({ move }) => move(true));
    state.timer = setInterval(() => {
      if (!into.isConnected || step(1) === undefined) stop();
      else at(step(1));
    }, PAUSE);
  }

  function controls() {
    player = button(t("inside.play"), () => (state.timer ? stop() : play()), { class: "primary player" });
    slider = element("input", { type: "range", min: "0", max: String(words().length - 1), "aria-label": t("inside.slider") });
    slider.addEventListener("input", () => {
      stop();
      at(tracks[0].order[Number(slider.value)]);
    });
    return element("div", { class: "controls" }, player,
      button("‹", () => go(-1), { "aria-label": t("inside.back"), class: "step" }), button("›", () => go(1), { "aria-label": t("inside.on"), class: "step" }),
      slider, choices());
  }

  const chooser = (label, entries, key) => (entries.length < 2 ? [] : [element("div", { class: "segments", role: "group", "aria-label": label },
    ...entries.map(([value, text]) => button(text, () => {
      state[key] = value;
      if (key !== "layer") state.now = null;
      draw();
      into.querySelector(`[data-choice="${key}-${value}"]`)?.focus();
    }, { "aria-pressed": String(state[key] === value), "data-choice": `${key}-${value}` })))]);

  function choices() {
    const { sentences } = inspections[0];
    const layers = Math.max(...tracks.map(({ sentence }) => sentence.layers.length));
    const ways = [...new Set(tracks.flatMap(({ sentence }) => sentence.layers[0].map(({ direction }) => direction)))];
    return element("div", { class: "row" },
      ...chooser(t("inside.direction"), ways.map((way) => [way, t(`inside.${way}`)]), "direction"),
      ...chooser(t("inside.sentence"), sentences.map((_, i) => [i, t("inside.sentence.n", { n: i + 1 })]), "sentence"),
      ...chooser(t("inside.layer"), Array.from({ length: layers }, (_, i) => [i, t("inside.layer.n", { n: i + 1 })]), "layer"));
  }

  function beltPicture() {
    belts = tracks.map((track) => makeBelt(track, (i) => {
      stop();
      at(track === tracks[0] ? i : tracks[0].tokenAt(track.sentence.tokens[i].start));
    }, lang));
    return picture(t("inside.belt"), controls(), ...belts.map((belt) => element("div", { class: "belt" }, belt.head, scroller(belt.rail), belt.line)),
      element("p", { class: "quiet small" }, t("inside.belt.about")));
  }

  // A name for a row of several tracks: the cell's where there are several.
  const named = (track, name) => (tracks.length > 1 ? `${track.cell} · ${name}` : name);

  const pickable = (track) => ({ pick: (u) => {
    state.unit = { track: tracks.indexOf(track), unit: u };
    into.querySelector("[data-unit]").replaceWith(unitPicture());
    repaint(into);
  }, chosen: (u) => state.unit?.unit === u && tracks[state.unit.track] === track });

  function gateBoard(track, gate) {
    const values = track.units(gate);
    const means = track.way.gates[gate];
    const units = values[0].length;
    return scroller(board(track.words, [
      [named(track, t("inside.mean")), cells({ label: t(`inside.gate.${gate}`), rows: 1, height: 24, tone: toneOf(gate), value: (i) => means[i],
        tell: (i) => t("inside.mean.at", { word: track.words[i], value: means[i].toFixed(2), n: units }) })],
      [t("inside.units", { n: units }), cells({ label: t(`inside.gate.${gate}`), rows: units, height: heightOf(units), tone: toneOf(gate), value: (i, u) => values[i][u],
        tell: (i, u) => t("inside.unit.at", { word: track.words[i], unit: `${u}`, value: values[i][u].toFixed(2) }), ...pickable(track) })],
    ], lang));
  }

  function gateSays(track, gate) {
    const means = track.way.gates[gate];
    const [high, low] = [indexOfMost(means), indexOfLeast(means)];
    const key = track.cell === "mgu" ? "mgu" : gate;
    return says(...rich(`inside.says.${key}`, { gate: t(`inside.gate.${gate}`), cell: track.cell, high: bold(track.words[high]), low: bold(track.words[low]), top: percentOf(means[high]), bottom: percentOf(means[low]) }));
  }

  function gatePictures() {
    return GATES.filter((gate) => tracks.some(({ gates }) => gates.includes(gate))).map((gate) => {
      const having = tracks.filter(({ gates }) => gates.includes(gate));
      const without = tracks.filter((track) => !having.includes(track));
      return picture(t("inside.gate.title", { gate: t(`inside.gate.${gate}`) }), ...having.flatMap((track) => [gateBoard(track, gate), gateSays(track, gate)]),
        ...(without.length ? [element("p", { class: "quiet small" }, t("inside.without", { cells: without.map(({ cell }) => cell).join(", ") }))] : []));
    });
  }

  function stateBoard(track) {
    const values = track.units("state");
    const units = values[0].length;
    const top = Math.max(0.01, ...values.flat().map(Math.abs));
    return scroller(board(track.words, [[named(track, t("inside.units", { n: units })), cells({ label: t("inside.state"), rows: units, height: heightOf(units), tone: "--plain", top,
      value: (i, u) => values[i][u], tell: (i, u) => t("inside.unit.at", { word: track.words[i], unit: `${u}`, value: values[i][u].toFixed(2) }), ...pickable(track) })]], lang));
  }

  function unitPicture() {
    state.unit ??= { track: 0, unit: liveliest(tracks[0].units("state")) };
    const track = tracks[state.unit.track];
    const { unit } = state.unit;
    const column = (name) => track.units(name).map((row) => row[unit]);
    const shown = column("state");
    const total = track.units("state")[0].length;
    const [high, low] = [indexOfMost(shown), indexOfLeast(shown)];
    const row = (name, values, top) => [t(name), cells({ label: t(name), rows: 1, height: 24, tone: toneOf(name.split(".").at(-1)), top,
      value: (i) => values[i], tell: (i) => t("inside.unit.at", { word: track.words[i], unit: `${unit}`, value: values[i].toFixed(2) }) })];
    const turn = (by) => button(by < 0 ? "‹" : "›", () => pickable(track).pick((unit + by + total) % total), { class: "step", "aria-label": t(by < 0 ? "inside.unit.before" : "inside.unit.next") });
    const biggest = (values) => Math.max(0.01, ...values.map(Math.abs));
    const node = picture(t("inside.unit"), ...tracks.map(stateBoard),
      element("div", { class: "row unit-head" }, turn(-1), element("b", {}, t("inside.unit.n", { unit: `${unit}`, cell: track.cell })), turn(1)),
      scroller(board(track.words, [row("inside.state", shown, biggest(shown)), ...(track.hasMemory ? [row("inside.cell", column("cell"), biggest(column("cell")))] : []), ...track.gates.map((gate) => row(`inside.gate.${gate}`, column(gate), 1))], lang)),
      says(...rich("inside.unit.says", { unit: `${unit}`, cell: track.cell, high: bold(track.words[high]), top: shown[high].toFixed(2), low: bold(track.words[low]), bottom: shown[low].toFixed(2) })),
      element("p", { class: "quiet small" }, t("inside.unit.about")));
    node.dataset.unit = "";
    return node;
  }

  // What is left on average, word after word: a line for each track.
  function fadingChart() {
    const [wide, high] = [Math.max(280, Math.min(680, into.clientWidth || 560)), 180];
    const last = Math.min(20, Math.max(...tracks.map(({ count }) => count)) - 1);
    const x = (k) => 44 + (k / Math.max(1, last)) * (wide - 114);
    const y = (share) => 10 + (1 - Math.min(1, share)) * (high - 40);
    const chart = svg("svg", { viewBox: `0 0 ${wide} ${high}`, class: "chart", role: "img", "aria-label": t("inside.fading") });
    for (const share of [0, 0.5, 1]) {
      const label = svg("text", { x: 38, y: y(share) + 4, "text-anchor": "end" });
      label.textContent = percentOf(share);
      chart.append(svg("line", { class: "rule", x1: 44, x2: wide - 70, y1: y(share), y2: y(share) }), label);
    }
    for (let k = 0; k <= last; k += last > 10 ? 5 : 2) {
      const label = svg("text", { x: x(k), y: high - 12, "text-anchor": "middle" });
      label.textContent = k;
      chart.append(label);
    }
    const ends = [];
    tracks.forEach((track, k) => {
      const line = track.fading().slice(0, last + 1);
      const path = svg("path", { class: "line", d: line.map((share, n) => `${n ? "L" : "M"} ${x(n)} ${y(share)}`).join(" ") });
      path.style.stroke = `var(${LINES[k]})`;
      // Names at the ends of the lines, moved apart where lines meet.
      ends.push({ track, k, at: x(line.length - 1), end: y(line.at(-1)), path });
    });
    ends.sort((a, b) => a.end - b.end).forEach((one, n) => { one.place = Math.max(one.end, n ? ends[n - 1].place + 14 : 0); });
    for (const { track, k, at: right, place, path } of ends) {
      const label = svg("text", { x: right + 8, y: place + 4, class: "line-name" });
      label.textContent = track.cell;
      label.style.fill = `var(${LINES[k]})`;
      chart.append(path, label);
    }
    return chart;
  }

  function reachSays(track) {
    const reach = track.words.map((_, i) => track.reach(i));
    const far = indexOfMost(reach);
    const key = reach[far] > 0 ? "inside.reach.says" : "inside.reach.none";
    return says(...rich(key, { cell: track.cell, word: bold(track.words[far]), n: reach[far] }));
  }

  function travel(track) {
    const row = (name, of) => (track.words.map((word, j) => [word, cells({ label: word, rows: 1, height: 15, tone: name, value: (i) => of(j, i),
      tell: (i) => t("inside.left.at", { word, share: percentOf(of(j, i)), now: track.words[i] }) })]));
    const { carried } = track.way;
    return element("details", {}, element("summary", {}, t("inside.travel.all", { cell: track.cell })),
      element("h4", {}, t("inside.travel.measured")), scroller(board(track.words, row("--forget", (j, i) => track.left(j, i)), lang)),
      ...(carried ? [element("h4", {}, t("inside.travel.gates")), scroller(board(track.words, row("--input", (j, i) => carried[j][i]), lang))]
        : [element("p", { class: "quiet small" }, t("inside.travel.nogate", { cell: track.cell }))]));
  }

  const travelPicture = () => picture(t("inside.travel"), fadingChart(), ...tracks.map(reachSays), element("p", { class: "quiet small" }, t("inside.travel.about")), ...tracks.map(travel));

  function memoryPicture() {
    return picture(t("inside.memory"), ...tracks.flatMap((track) => {
      const { norms } = track.way;
      const top = Math.max(...Object.values(norms).flat());
      const row = (name) => [named(track, t(`inside.${name}`)), cells({ label: t(`inside.${name}`), rows: 1, height: 22, tone: "--plain", top, value: (i) => norms[name][i],
        tell: (i) => t("inside.norm.at", { word: track.words[i], what: t(`inside.${name}`), value: norms[name][i].toFixed(2) }) })];
      return [scroller(board(track.words, (track.hasMemory ? ["candidate", "cell", "state"] : ["candidate", "state"]).map(row), lang)),
        says(...rich("inside.memory.says", { cell: track.cell, word: bold(track.words[indexOfMost(norms.cell)]), value: Math.max(...norms.cell).toFixed(1) }))];
    }));
  }

  function restsOn(track, entity) {
    const { rests_on: loss, gradient } = entity;
    const row = (label, values, tell) => [named(track, label), cells({ label, rows: 1, height: 24, tone: "--output", top: Math.max(0.05, ...values.map(Math.abs)), value: (i) => values[i], tell })];
    const [hidden, steep] = [indexOfMost(loss), indexOfMost(gradient)];
    const line = loss[hidden] < 0.01 ? rich("inside.rests.none", { cell: track.cell })
      : rich("inside.rests.says", { cell: track.cell, word: bold(track.words[hidden]), score: percentOf(entity.score), left: percentOf(Math.max(0, entity.score - loss[hidden])) });
    const second = steep === hidden ? rich("inside.rests.same") : rich("inside.rests.other", { word: bold(track.words[steep]) });
    return [scroller(board(track.words, [
      row(t("inside.rests.hidden"), loss, (i) => t(loss[i] < 0 ? "inside.rests.rises" : "inside.rests.falls", { word: track.words[i], value: Math.abs(loss[i]).toFixed(2) })),
      row(t("inside.rests.gradient"), gradient, (i) => t("inside.rests.slope", { word: track.words[i], value: gradient[i].toFixed(2) })),
    ], lang)), says(...line, " ", ...second)];
  }

  function restsPicture() {
    const [first] = tracks;
    const { entities } = first.sentence;
    const names = tracks.flatMap(({ sentence }) => sentence.entities.map(({ start, end, text, label }) => ({ start, end, text, label })))
      .filter((one, i, all) => all.findIndex(({ start, end, label }) => start === one.start && end === one.end && label === one.label) === i)
      .sort((a, b) => a.start - b.start);
    if (!names.length) return picture(t("inside.rests"), says(t("inside.rests.nothing")));
    const chosen = names[Math.min(state.entity, names.length - 1)];
    const chips = element("div", { class: "row", role: "group", "aria-label": t("inside.rests.which") }, ...names.map((one, i) => {
      const chip = button("", () => {
        state.entity = i;
        into.querySelector("[data-rests]").replaceWith(restsPicture());
        into.querySelector("[data-rests] [aria-pressed=true]").focus();
        repaint(into);
      }, { class: "pill entity", "data-hue": hueOf(one.label), "aria-pressed": String(one === chosen) });
      chip.append(element("span", { class: "dot", "aria-hidden": "true" }), element("bdi", {}, one.text), element("span", { class: "tag" }, one.label));
      return chip;
    }));
    const parts = tracks.flatMap((track) => {
      const found = track.sentence.entities.find(({ start, end, label }) => start === chosen.start && end === chosen.end && label === chosen.label);
      return found ? restsOn(track, found) : [says(...rich("inside.rests.missed", { cell: track.cell, text: bold(chosen.text), label: chosen.label }))];
    });
    const node = picture(t("inside.rests"), chips, ...parts, element("p", { class: "quiet small" }, t("inside.rests.about")));
    node.dataset.rests = String(entities.length);
    return node;
  }

  function attentionPictures() {
    return tracks.flatMap((track) => (track.sentence.attention ?? []).map((head, h) => {
      const read = track.words.map((_, j) => mean(head.map((row) => row[j])));
      return picture(t("inside.attention", { cell: track.cell, n: h + 1 }), scroller(board(track.words, track.words.map((word, i) =>
        [word, cells({ label: word, rows: 1, height: 15, tone: "--output", value: (j) => head[i][j], tell: (j) => t("inside.attention.at", { word, other: track.words[j], share: percentOf(head[i][j]) }) })]), lang)),
      says(...rich("inside.attention.says", { word: bold(track.words[indexOfMost(read)]) })));
    }));
  }

  function tagBoard(track) {
    const { marginals, emissions, path, transitions } = track.sentence;
    const { tags } = track;
    const likely = tags.map((_, k) => k).filter((k) => marginals.some((row) => row[k] >= 0.01) || path.includes(tags[k]));
    const tell = (i, k) => {
      const values = { word: track.words[i], tag: tags[k], share: marginals[i][k].toFixed(3), emission: emissions[i][k].toFixed(2), move: transitions[i].toFixed(2) };
      return t(path[i] === tags[k] ? "inside.tag.best" : "inside.tag.at", values);
    };
    const sure = path.map((tag, i) => marginals[i][tags.indexOf(tag)]);
    const unsure = indexOfLeast(sure);
    return [scroller(board(track.words, likely.map((k) => [named(track, tags[k]), cells({ label: tags[k], rows: 1, height: 20, tone: "--input", value: (i) => marginals[i][k], marked: (i) => path[i] === tags[k], tell: (i) => tell(i, k) })]), lang)),
      says(...rich("inside.tags.says", { cell: track.cell, word: bold(track.words[unsure]), tag: path[unsure], share: percentOf(sure[unsure]) }))];
  }

  function draw() {
    stop();
    if (!inspections[0].sentences.length) {
      into.replaceChildren(says(t("inside.blank")));
      return;
    }
    const first = inspections[0].sentences[state.sentence];
    tracks = inspections.map((one, k) => new Track(one, k ? sentenceAt(one, first.tokens[0].start) : first, state.layer, state.direction));
    if (state.unit && state.unit.unit >= (tracks[state.unit.track]?.units("state")[0].length ?? 0)) state.unit = null;
    into.replaceChildren(beltPicture(), travelPicture(), ...gatePictures(), unitPicture(), restsPicture(), memoryPicture(), ...attentionPictures(),
      picture(t("inside.tags"), ...tracks.flatMap(tagBoard)));
    at(state.now ?? tracks[0].order[Math.min(words().length - 1, Math.floor(words().length * 0.6))]);
    repaint(into);
  }

  draw();
  return { draw, repaint: () => repaint(into), stop };
}
