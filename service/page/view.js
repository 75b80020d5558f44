// What is shown, made from a reply: elements only, never markup. Text goes in by textContent.
"use strict";

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

const percent = (score) => `${(100 * score).toFixed(score >= 0.9995 || score < 0.1 ? 0 : 1)}%`;

function chip(label, hue, detail) {
  const node = element("span", { class: "chip", "data-hue": hue }, label);
  if (detail) node.append(element("span", { class: "score" }, detail));
  return node;
}

// Offsets count code points, so `points` is the text as a list of them, not a string.
function markedText(points, entities, hueOf) {
  const slice = (start, end) => points.slice(start, end).join("");
  const nodes = [];
  let end = 0;
  for (const entity of entities) {
    nodes.push(slice(end, entity.start));
    end = entity.end;
    const hue = hueOf(entity.label);
    const title = `${entity.label}, score ${entity.score}, code points ${entity.start} to ${end}`;
    const mark = element("mark", { "data-hue": hue, title }, slice(entity.start, end));
    mark.append(chip(entity.label, hue, percent(entity.score)));
    nodes.push(mark);
  }
  nodes.push(slice(end));
  return nodes;
}

function legend(entities, hueOf) {
  const counts = new Map();
  for (const { label } of entities) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts].map(([label, count]) => chip(label, hueOf(label), `× ${count}`));
}

function tableRows(entities, hueOf) {
  return entities.map((entity) => element("tr", {},
    element("td", {}, element("bdi", {}, entity.text)),
    element("td", {}, chip(entity.label, hueOf(entity.label))),
    element("td", { class: "number" }, String(entity.start)),
    element("td", { class: "number" }, String(entity.end)),
    element("td", { class: "number" }, entity.score.toFixed(3)),
  ));
}

// A single-quoted shell word: everything in it is literal, a quote is closed, escaped, reopened.
const shellWord = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

function curlCommand(url, body) {
  const json = shellWord(JSON.stringify(body));
  return `curl -s ${url} \\\n  -H 'content-type: application/json' \\\n  -d ${json}`;
}
