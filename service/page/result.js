// The result card: what was found, through the filter, in every tab.

import { $, milliseconds } from "./dom.js";
import { filter, keeps, showChips } from "./filter.js";
import { showMarked } from "./marked.js";
import { requestLabels } from "./models.js";
import { showReadings } from "./readings.js";
import { addressOf } from "./api.js";
import { URL_PATH, curlCommand, filteredBody, filteredReply, pretty } from "./request.js";
import { showEntities, showTokens } from "./tables.js";
import { showTiming } from "./timing.js";
import { t } from "./words.js";

// {text, body, reply, took, phases} of the last call; null when there is nothing to show.
let shown = null;

// Which model answered, as name@version. With `auto` each result says so itself.
export function answeredBy({ reply }) {
  const { model } = reply;
  return reply.results[0].model ?? (model ? `${model.name}@${model.version}` : "");
}

function statusLine(kept, all) {
  const number = kept.length === all.length
    ? t("result.count", { n: all.length })
    : t("result.count.filtered", { n: kept.length, all: all.length });
  return [number, milliseconds(shown.took), answeredBy(shown).replace("@", " ")].join(" · ");
}

function showNote(kept, all) {
  const hidden = all.length - kept.length;
  const texts = [
    ...(shown.reply.warnings ?? []).map((warning) => t("result.care", { warning })),
    !all.length && t("result.none"),
    hidden > 0 && t("result.hidden", { n: hidden }),
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
  $("curl").textContent = curlCommand(addressOf(URL_PATH), body);
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
