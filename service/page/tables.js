// The tables: entities, and tokens with their tags.

import { bar, cell, element, growing, percent, table, whole } from "./dom.js";
import { hueOf } from "./labels.js";
import { t } from "./words.js";

const tagChip = (label) => element("span", { class: "tag", "data-hue": hueOf(label) }, label);

const scoreCell = (score, hue) => cell("number score", bar(score, hue), percent(score));

// `marks` are those of the text, in the same order.
export function showEntities(into, entities, marks) {
  if (!entities.length) {
    into.replaceChildren(element("p", { class: "empty-panel" }, t("table.none")));
    return;
  }
  const columns = [[t("table.name")], [t("table.label")], [t("table.start"), "number"], [t("table.end"), "number"],
    [t("table.score"), "number"]];
  const node = table(t("table.entities"), columns, []);
  const row = (entity, index) => {
    const find = element("button", { type: "button", class: "link find", title: t("table.show") },
      element("bdi", {}, entity.text));
    find.addEventListener("click", () => {
      marks[index].scrollIntoView({ block: "nearest" });
      marks[index].focus({ preventScroll: true });
    });
    const line = element("tr", {}, cell("", find), cell("", tagChip(entity.label)),
      cell("number", whole(entity.start)), cell("number", whole(entity.end)),
      scoreCell(entity.score, hueOf(entity.label)));
    line.addEventListener("mouseenter", () => marks[index].classList.add("pointed"));
    line.addEventListener("mouseleave", () => marks[index].classList.remove("pointed"));
    return line;
  };
  const more = growing(entities, row, node.tBodies[0]);
  const hint = element("p", { class: "quiet small" },
    t("table.offsets"));
  into.replaceChildren(node, more, hint);
}

const labelOf = (tag) => tag.slice(2);

const hueOfTag = (tag) => (tag === "O" ? {} : { "data-hue": hueOf(labelOf(tag)) });

const LIKELY = 0.005; // tags less likely than that are left out of the table
const MOST = 3;

function alternatives(tags) {
  const likely = tags.filter(({ score }, index) => index === 0 || score >= LIKELY).slice(0, MOST);
  return likely.map(({ tag, score }) => element("span", { class: "alternative", ...hueOfTag(tag) },
    bar(score), element("span", { class: "tag-name" }, tag), percent(score)));
}

export function showTokens(into, { tokens, tags, alternatives: likely }) {
  if (!tokens.length) {
    into.replaceChildren(element("p", { class: "empty-panel" }, t("tokens.none")));
    return;
  }
  const node = table(t("tokens.table"),
    [["#", "number"], [t("tokens.token")], [t("tokens.tag")], [t("tokens.likely")]], []);
  node.className = "tokens";
  const row = (token, index) => element("tr", tags[index] === "O" ? {} : { class: "in" },
    cell("number quiet", whole(index + 1)),
    cell("", element("bdi", {}, token.text)),
    cell("nowrap", element("span", { class: "tag-name", ...hueOfTag(tags[index]) }, tags[index])),
    cell("", element("span", { class: "alternatives" }, ...alternatives(likely[index] ?? []))));
  into.replaceChildren(node, growing(tokens, row, node.tBodies[0]));
}
