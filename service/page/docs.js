// The API's description, made from /openapi.json: endpoints by group, fields, examples, problems.

import { $, cell, element, table } from "./dom.js";
import { addressOf } from "./api.js";
import { showTheme, watchTheme } from "./appearance.js";
import { between, fieldCells, paragraphs, prose, schemaNodes, useSchemas } from "./schema.js";
import { curlFor } from "./request.js";
import { watchLanguage } from "./words.js";

const HUES = { get: 1, post: 0, put: 2, patch: 2, delete: 4 };
const METHODS = Object.keys(HUES);
const FIRST = "tagging"; // the group whose fields are open from the start

const idOf = (method, path) => `${method}${path.replaceAll(/[^\w]+/g, "-").replace(/-$/, "")}`;

const methodNode = (method) =>
  element("span", { class: "method", "data-hue": HUES[method] }, method.toUpperCase());

const titleOf = (tag) => tag.replace(/^./, (letter) => letter.toUpperCase());

// A path may break before a slash, not within a word.
const breakable = (path) =>
  element("span", {}, ...path.split(/(?=\/)/).flatMap((part) => [element("wbr"), part]));

const shownValue = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));

const code = (text) => element("pre", { tabindex: "0" }, text);

// The examples of a body, as [{summary, value}], however the document states them.
function examplesOf(content) {
  if (content.examples) return Object.entries(content.examples).map(([name, { summary, value }]) => ({ summary: summary ?? name, value }));
  if (content.example !== undefined) return [{ summary: "", value: content.example }];
  return (content.schema?.examples ?? []).map((value) => ({ summary: "", value }));
}

function requestNodes(path, method, body, isOpen) {
  return Object.entries(body.content).flatMap(([media, content]) => {
    const [first, ...others] = examplesOf(content);
    const command = first ? [code(curlFor(addressOf(path), { method, media, value: first.value }))] : [];
    return [
      ...command,
      ...others.map(({ summary, value }) => element("details", {},
        element("summary", {}, summary || "Another example"), code(shownValue(value)))),
      ...(content.schema ? schemaNodes(`Request, ${media}`, content.schema, isOpen) : []),
    ];
  });
}

function replyNodes(responses, isOpen) {
  const [status, answer] = Object.entries(responses).find(([key]) => key.startsWith("2")) ?? [];
  return Object.entries(answer?.content ?? {}).flatMap(([media, content]) => [
    ...(content.schema ? schemaNodes(`Reply ${status}, ${media}`, content.schema, isOpen) : []),
    ...examplesOf(content).map(({ summary, value }) => element("details", {},
      element("summary", {}, summary ? `Reply to: ${summary}` : "Example of a reply"), code(shownValue(value)))),
  ]);
}

function parameterNodes(parameters = []) {
  if (!parameters.length) return [];
  const rows = parameters.map(({ name, in: place, schema, description, required }) =>
    element("tr", {}, ...fieldCells(name, schema ?? {}, description ?? "", ` in the ${place}${required ? " *" : ""}`)));
  return [element("div", { class: "scroll" }, table("Parameters", [["Parameter"], ["Type"], ["Meaning"]], rows))];
}

function errorNodes(responses) {
  const statuses = Object.keys(responses).filter((status) => Number(status) >= 400);
  if (!statuses.length) return [];
  const link = (status) => [element("a", { href: "#problems" }, status)];
  return [element("p", { class: "quiet" }, "Errors: ", ...between(statuses.map(link), ", "))];
}

// What a key must be good for, from the operation's security; nothing where none is needed.
function needsNode(api, { security = api.security ?? [] }) {
  if (!security.length || security.some((way) => !Object.keys(way).length)) return [];
  const scopes = [...new Set(security.flatMap((way) => Object.values(way).flat()))];
  return [element("span", { class: "needs" }, scopes.length ? `scope ${scopes.join(", ")}` : "key")];
}

function endpoint(api, path, method, operation) {
  const isOpen = (operation.tags ?? []).includes(FIRST);
  const id = idOf(method, path);
  return element("section", { class: "card endpoint", id, "aria-labelledby": `${id}-title` },
    element("h3", { id: `${id}-title` }, methodNode(method), element("code", {}, path), ...needsNode(api, operation)),
    element("p", {}, element("strong", {}, operation.summary ?? "")),
    ...paragraphs(operation.description),
    ...parameterNodes(operation.parameters),
    ...(operation.requestBody ? requestNodes(path, method, operation.requestBody, isOpen) : []),
    ...replyNodes(operation.responses ?? {}, isOpen),
    ...errorNodes(operation.responses ?? {}));
}

function problems(api) {
  const rows = (api["x-problems"] ?? []).map(({ id, status, title, meaning }) => element("tr", { id },
    cell("", title), cell("", String(status)), cell("", ...prose(meaning))));
  return element("section", { class: "card endpoint", id: "problems", "aria-labelledby": "problems-title" },
    element("h3", { id: "problems-title" }, "Problems"),
    element("p", {}, "Every error is a problem (RFC 9457), sent as application/problem+json. Its type is a link to one of these rows."),
    element("div", { class: "scroll" }, table("Kinds of problems", [["Title"], ["Status"], ["Meaning"]], rows)),
    ...schemaNodes("Fields", { $ref: "#/components/schemas/Problem" }));
}

function authorization(api) {
  const ways = Object.entries(api.components.securitySchemes ?? {});
  if (!ways.length) return [];
  const rows = ways.map(([name, { type, scheme, in: place, name: header, description }]) => element("tr", {},
    cell("", element("code", {}, header ?? name)),
    cell("", [type, scheme, place && `in the ${place}`].filter(Boolean).join(", ")),
    cell("", ...prose(description ?? ""))));
  return [element("section", { class: "card endpoint", id: "authorization", "aria-labelledby": "authorization-title" },
    element("h3", { id: "authorization-title" }, "Authorization"),
    element("div", { class: "scroll" }, table("Ways to send a key", [["Name"], ["Kind"], ["Meaning"]], rows)))];
}

// [[tag, [[path, method, operation], ...]], ...] in the order of the document.
function groupsOf(api) {
  const groups = new Map((api.tags ?? []).map(({ name }) => [name, []]));
  for (const [path, operations] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((name) => name in operations)) {
      const tag = operations[method].tags?.[0] ?? "other";
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push([path, method, operations[method]]);
    }
  }
  return [...groups].filter(([, entries]) => entries.length);
}

function contentsNodes(groups, hasKeys) {
  const link = (id, ...children) => element("a", { href: `#${id}` }, ...children);
  return [
    ...groups.flatMap(([tag, entries]) => [element("h2", {}, titleOf(tag)),
      ...entries.map(([path, method]) => link(idOf(method, path), methodNode(method), breakable(path)))]),
    element("h2", {}, "For all"),
    ...(hasKeys ? [link("authorization", "Authorization")] : []), link("problems", "Problems"),
  ];
}

function show(api) {
  useSchemas(api.components.schemas);
  $("summary").textContent = api.info.summary ?? "";
  const groups = groupsOf(api);
  const keys = authorization(api);
  const about = Object.fromEntries((api.tags ?? []).map(({ name, description }) => [name, description]));
  $("contents").append(...contentsNodes(groups, keys.length > 0));
  $("content").append(
    ...groups.flatMap(([tag, entries]) => [
      element("div", { class: "group" }, element("h2", {}, titleOf(tag)), ...paragraphs(about[tag])),
      ...entries.map((entry) => endpoint(api, ...entry))]),
    element("div", { class: "group" }, element("h2", {}, "For all")), ...keys, problems(api));
}

watchLanguage(showTheme);
watchTheme();
try {
  show(await (await fetch(addressOf("/openapi.json"))).json());
} catch (error) {
  const text = "The description in /openapi.json cannot be read.";
  $("content").append(element("p", { class: "card error", role: "alert" }, text));
  reportError(error);
}
// The anchor did not exist when the browser looked for it.
if (location.hash) location.replace(location.hash);
