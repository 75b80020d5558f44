// The API's description, made from /openapi.json: endpoints, fields, examples, problems.
"use strict";

let api;
const shown = new Set(); // schemas that have a table already; each has one on the page

const schemaName = (schema) => schema.$ref?.split("/").at(-1);

// Plain text, but what stands between backticks is code.
const prose = (text) => text.split("`").map((part, index) =>
  (index % 2 ? element("code", {}, part) : part));

const between = (nodes, separator) => nodes.flatMap((node) => [separator, ...node]).slice(1);

// The name of a type as nodes: schemas are links to their tables.
function typeNodes(schema) {
  const name = schemaName(schema);
  if (name) return [element("a", { href: `#${name}` }, name)];
  if (schema.anyOf) {
    return between(schema.anyOf.filter(({ type }) => type !== "null").map(typeNodes), " or ");
  }
  if (schema.enum) return [schema.enum.map((value) => JSON.stringify(value)).join(" or ")];
  if (schema.const) return [JSON.stringify(schema.const)];
  if (schema.type === "array") return ["list of ", ...typeNodes(schema.items)];
  return [schema.type ?? "any"];
}

function limits(schema) {
  const parts = [schema, ...(schema.anyOf ?? [])];
  const found = (key, words) => parts.filter((part) => key in part).map((part) => `${words} ${part[key]}`);
  const all = [...found("minimum", "at least"), ...found("maximum", "at most")];
  return all.length ? ` (${all.join(", ")})` : "";
}

function table(columns, rows) {
  const head = columns.map((text) => element("th", { scope: "col" }, text));
  return element("table", {},
    element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
}

function fieldTable(schema) {
  const rows = Object.entries(schema.properties).map(([name, field]) => element("tr", {},
    element("td", {}, element("code", {}, name)),
    element("td", {}, ...typeNodes(field)),
    element("td", {}, ...prose((field.description ?? "") + limits(field)))));
  return table(["Field", "Type", "Meaning"], rows);
}

// The names of the schemas that a schema speaks of, each once.
const mentioned = (schema) =>
  new Set([...JSON.stringify(schema).matchAll(/#\/components\/schemas\/(\w+)/g)].map((m) => m[1]));

// Tables of a schema and of those it speaks of; of one that has its table already, a link.
function schemaNodes(title, name) {
  const link = element("a", { href: `#${name}` }, name);
  if (shown.has(name)) return [element("h3", {}, `${title}: `, link)];
  shown.add(name);
  const schema = api.components.schemas[name];
  const nodes = [element("h3", { id: name }, title ? `${title}: ${name}` : name),
    element("p", { class: "quiet" }, ...prose(schema.description ?? "")), fieldTable(schema)];
  for (const inner of mentioned(schema.properties)) {
    if (!shown.has(inner) && inner !== "Problem") nodes.push(...schemaNodes("", inner));
  }
  return nodes;
}

const json = (value) => element("pre", {}, JSON.stringify(value, null, 2));

function requestNodes(path, content) {
  const examples = Object.values(content.examples);
  return [
    element("h3", {}, "Try it"),
    element("pre", {}, curlCommand(location.origin + path, examples[0].value)),
    ...schemaNodes("Request", schemaName(content.schema)),
    ...examples.flatMap(({ summary, value }) => [element("h3", {}, `Example: ${summary}`), json(value)]),
  ];
}

function errorNodes(responses) {
  const statuses = Object.keys(responses).filter((status) => Number(status) >= 400);
  if (!statuses.length) return [];
  const link = (status) => [element("a", { href: "#problems" }, status)];
  return [element("h3", {}, "Errors"), element("p", {}, ...between(statuses.map(link), ", "))];
}

function endpoint(path, method, operation) {
  const heading = element("h2", {},
    chip(method.toUpperCase(), method === "get" ? 0 : 2), element("code", {}, path));
  const card = element("section", { class: "card endpoint" }, heading,
    element("p", {}, element("strong", {}, operation.summary)),
    ...operation.description.split("\n\n").map((text) => element("p", {}, ...prose(text))));
  if (operation.requestBody) {
    card.append(...requestNodes(path, operation.requestBody.content["application/json"]));
  }
  const answer = operation.responses["200"].content["application/json"];
  card.append(...schemaNodes("Reply", schemaName(answer.schema)));
  if (answer.example) card.append(element("h3", {}, "Example"), json(answer.example));
  card.append(...errorNodes(operation.responses));
  return card;
}

function problems() {
  const rows = api["x-problems"].map(({ id, status, title, meaning }) => element("tr", { id },
    element("td", {}, title), element("td", {}, String(status)),
    element("td", {}, ...prose(meaning))));
  return element("section", { class: "card endpoint", id: "problems" },
    element("h2", {}, "Problems"),
    element("p", {}, "Every error is a problem (RFC 9457), sent as application/problem+json. " +
      "Its type is a link to one of these rows."),
    table(["Title", "Status", "Meaning"], rows),
    ...schemaNodes("Fields", "Problem"));
}

async function start() {
  const main = document.getElementById("main");
  try {
    api = await (await fetch("/openapi.json")).json();
    document.getElementById("summary").textContent = api.info.summary;
    for (const [path, operations] of Object.entries(api.paths)) {
      for (const [method, operation] of Object.entries(operations)) {
        main.append(endpoint(path, method, operation));
      }
    }
    main.append(problems());
  } catch {
    const text = "The description in /openapi.json cannot be read.";
    main.append(element("p", { class: "card error", role: "alert" }, text));
  }
  // The anchor did not exist when the browser looked for it.
  if (location.hash) location.replace(location.hash);
}

start();
