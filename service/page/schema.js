// Schemas of an OpenAPI document as tables of their fields.

import { cell, element, table } from "./dom.js";

let schemas = {};
const shown = new Set(); // schemas that have a table already; each has one on the page

export const useSchemas = (all) => { schemas = all; };

const nameOf = (schema) => schema?.$ref?.split("/").at(-1);

// Plain text, but what stands between backticks is code.
export const prose = (text) => text.split("`").map((part, index) =>
  (index % 2 ? element("code", {}, part) : part));

// Paragraphs, and lists of lines that begin with a dash.
export const paragraphs = (text) => (text ?? "").split(/\n{2,}/).filter(Boolean).map((part) => {
  const lines = part.split("\n");
  if (!lines.every((line) => /^\s*[-*] /.test(line))) return element("p", {}, ...prose(part));
  return element("ul", { class: "prose-list" },
    ...lines.map((line) => element("li", {}, ...prose(line.replace(/^\s*[-*] /, "")))));
});

export const between = (nodes, separator) => nodes.flatMap((node) => [separator, ...node]).slice(1);

const options = (schema) => schema.anyOf ?? schema.oneOf ?? schema.allOf;

// The name of a type as nodes: schemas are links to their tables.
export function typeNodes(schema) {
  const name = nameOf(schema);
  if (name) return [element("a", { href: `#${name}` }, name)];
  if (options(schema)) {
    return between(options(schema).filter(({ type }) => type !== "null").map(typeNodes), " or ");
  }
  if (schema.enum) return [schema.enum.map((value) => JSON.stringify(value)).join(" or ")];
  if (schema.const !== undefined) return [JSON.stringify(schema.const)];
  if (schema.type === "array") return ["list of ", ...typeNodes(schema.items ?? {})];
  if (typeof schema.additionalProperties === "object") {
    return ["object of ", ...typeNodes(schema.additionalProperties)];
  }
  return [[schema.type ?? "any"].flat().join(" or ")];
}

function limits(schema) {
  const parts = [schema, ...(options(schema) ?? [])];
  const found = (key, words) =>
    parts.filter((part) => key in part).map((part) => `${words} ${part[key]}`);
  const all = [...found("minimum", "at least"), ...found("exclusiveMinimum", "above"), ...found("maximum", "at most")];
  return all.length ? ` (${all.join(", ")})` : "";
}

export const fieldCells = (name, schema, description, mark = "") => [
  cell("", element("code", {}, name), mark), cell("", ...typeNodes(schema)),
  cell("", ...prose((description ?? "") + limits(schema))),
];

function fieldTable(name, schema) {
  const required = new Set(schema.required ?? []);
  const rows = Object.entries(schema.properties).map(([field, type]) =>
    element("tr", {}, ...fieldCells(field, type, type.description, required.has(field) ? " *" : "")));
  const columns = [["Field"], ["Type"], ["Meaning"]];
  const note = required.size ? [element("p", { class: "quiet small" }, "* required")] : [];
  return [element("div", { class: "scroll" }, table(`Fields of ${name}`, columns, rows)), ...note];
}

// The names of the schemas that a schema speaks of, each once.
const mentioned = (schema) =>
  new Set([...JSON.stringify(schema ?? {}).matchAll(/#\/components\/schemas\/([\w.-]+)/g)].map((m) => m[1]));

function namedNodes(name) {
  if (shown.has(name) || !schemas[name]) return [];
  shown.add(name);
  const schema = schemas[name];
  const nodes = [element("h4", { id: name }, name), ...paragraphs(schema.description)];
  if (schema.properties) nodes.push(...fieldTable(name, schema));
  else nodes.push(element("p", {}, ...typeNodes(schema)));
  for (const inner of mentioned(schema)) if (inner !== "Problem") nodes.push(...namedNodes(inner));
  return nodes;
}

// What a body holds: its type in the summary, the tables of new schemas behind it.
export function schemaNodes(title, schema, isOpen = false) {
  const type = typeNodes(schema);
  const inline = schema.properties ? fieldTable(title, schema) : [];
  const tables = [...inline, ...[...mentioned(schema)].flatMap(namedNodes)];
  if (!tables.length) return [element("p", {}, element("strong", {}, `${title}: `), ...type)];
  const words = type.map((node) => node.textContent ?? node).join("");
  return [element("details", { open: isOpen }, element("summary", {}, `${title}: ${words}`), ...tables)];
}
