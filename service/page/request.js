// The request that a view needs, and the same as JSON and as a command.

import { asMembers, filter, keeps } from "./filter.js";
import { apiKey } from "./api.js";

export const URL_PATH = "/v1/tag";
const ALL_PARTS = ["tokens", "tags", "alternatives"];

// Each tab asks for what it shows. `parts` are the switches of the JSON tab.
export function bodyFor(tab, { text, model, parts, paths }) {
  const include = tab === "tokens" ? ALL_PARTS : ALL_PARTS.filter((part) => isCode(tab) && parts.has(part));
  const wantsPaths = tab === "readings" || (isCode(tab) && parts.has("n_best"));
  return {
    text,
    ...(model && { model }),
    ...(include.length && { include }),
    ...(wantsPaths && { n_best: paths }),
  };
}

export const isCode = (tab) => tab === "json" || tab === "curl";

// The entities of a path have no score of their own.
const filteredPath = (path) =>
  ({ ...path, entities: path.entities.filter(({ label }) => !filter.off.has(label)) });

// What the server would answer to the request with the filter in it.
export function filteredReply(reply) {
  const results = reply.results.map(({ entities, paths, ...rest }) => ({
    ...rest,
    entities: entities.filter(keeps),
    ...(paths && { paths: paths.map(filteredPath) }),
  }));
  return { ...reply, results };
}

export const filteredBody = (body, labels) => ({ ...body, ...asMembers(labels) });

export const pretty = (value) => JSON.stringify(value, null, 2);

// A single-quoted shell word: everything in it is literal, a quote is closed, escaped, reopened.
const shellWord = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

// The key itself is not shown: it would end up in histories and screenshots.
export function curlCommand(url, body) {
  return curlFor(url, { value: body, hasKey: apiKey() !== "" });
}

// A command for any endpoint. A `value` that is a string is sent as it stands, with its line ends.
export function curlFor(url, { method = "post", media = "application/json", value, hasKey = false }) {
  const isText = typeof value === "string";
  const parts = [
    `curl -s ${method === "post" ? "" : `-X ${method.toUpperCase()} `}${/[{}?&]/.test(url) ? shellWord(url) : url}`,
    `-H 'content-type: ${media}'`,
    ...(hasKey ? ['-H "authorization: Bearer $TAGBELT_KEY"'] : []),
    `${isText ? "--data-binary" : "-d"} ${shellWord(isText ? value : JSON.stringify(value))}`,
  ];
  return parts.join(" \\\n  ");
}
