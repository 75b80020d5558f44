// The request that a view needs, and the same as JSON and as a command.

import { asMembers, keeps } from "./filter.js";
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

// What the server would answer to the request with the filter in it.
export function filteredReply(reply) {
  const results = reply.results.map((result) =>
    (result.entities ? { ...result, entities: result.entities.filter(keeps) } : result));
  return { ...reply, results };
}

export const filteredBody = (body, labels) => ({ ...body, ...asMembers(labels) });

export const pretty = (value) => JSON.stringify(value, null, 2);

// A single-quoted shell word: everything in it is literal, a quote is closed, escaped, reopened.
const shellWord = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

// The key itself is not shown: it would end up in histories and screenshots.
export function curlCommand(url, body) {
  const key = apiKey() ? ` \\\n  -H "authorization: Bearer $TAGBELT_KEY"` : "";
  return `curl -s ${url} \\\n  -H 'content-type: application/json'${key} \\\n  -d ${shellWord(JSON.stringify(body))}`;
}
