// The result card: what was found, through the filter, in every tab.

import { $, count, milliseconds } from "./dom.js";
import { filter, keeps, showChips } from "./filter.js";
import { showMarked } from "./marked.js";
import { requestLabels } from "./models.js";
import { showReadings } from "./readings.js";
import { URL_PATH, curlCommand, filteredBody, filteredReply, pretty } from "./request.js";
import { showEntities, showTokens } from "./tables.js";
import { showTiming } from "./timing.js";

// {text, body, reply, took, phases} of the last call; null when there is nothing to show.
let shown = null;

// Which model answered, as name@version. With `auto` each result says so itself.
function answeredBy({ reply }) {
  const { model } = reply;
  return reply.results[0].model ?? (model ? `${model.name}@${model.version}` : "");
}

function statusLine(kept, all) {
  const number = kept.length === all.length
    ? count(all.length, "entity", "entities")
    : `${kept.length} of ${count(all.length, "entity", "entities")}`;
  return [number, milliseconds(shown.took), answeredBy(shown).replace("@", " ")].join(" · ");
}

function showNote(kept, all) {
  const hidden = all.length - kept.length;
  const texts = [
    ...(shown.reply.warnings ?? []).map((warning) => `Take care: ${warning}.`),
    !all.length && "No names were found in this text.",
    hidden > 0 && `${count(hidden, "name is", "names are")} hidden by the filter.`,
  ].filter(Boolean);
  $("note").hidden = !texts.length;
  $("note").textContent = texts.join(" ");
}

// Everything that depends on the filter; called for each step of the slider.
export function refresh() {
  if (!shown) return;
  const { entities } = shown.reply.results[0];
  const kept = entities.filter(keeps);
  showChips(entities, refresh);
  $("labels").parentElement.hidden = !entities.length && !filter.off.size;
  showEntities($("panel-entities"), kept, showMarked($("marked"), [...shown.text], kept));
  showNote(kept, entities);
  $("status").textContent = statusLine(kept, entities);
  const body = filteredBody(shown.body, requestLabels());
  $("request").textContent = pretty(body);
  $("json").textContent = pretty(filteredReply(shown.reply));
  $("curl").textContent = curlCommand(location.origin + URL_PATH, body);
}

export function showResult(answer) {
  shown = answer;
  const result = answer.reply.results[0];
  if (result.tokens && result.tags && result.alternatives) showTokens($("panel-tokens"), result);
  if (result.paths) showReadings(answer.text, result.paths);
  refresh();
  showTiming(answer.took, answer.phases);
  $("empty").hidden = true;
  $("answer").hidden = false;
  $("result").hidden = false;
  setStale(false);
}

// The text has changed since: what is shown is of the one before.
export function setStale(isStale) {
  $("result").classList.toggle("stale", isStale);
}

// Back to the empty card; behind an error there is none at all.
export function clearResult({ hideCard = false } = {}) {
  shown = null;
  $("result").hidden = true;
  $("empty").hidden = false;
  $("answer").hidden = hideCard;
  $("status").textContent = "";
}
