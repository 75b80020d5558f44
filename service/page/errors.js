// The error card, and the card that asks for a key.

import { $, element } from "./dom.js";
import { apiKey, setApiKey } from "./api.js";
import { t } from "./words.js";

export function hideError() {
  $("error").hidden = true;
}

export function showError(problem, { canRetry = true } = {}) {
  if (!(problem.title)) throw problem; // a fault of this page, not an answer
  const { title, detail, type, errors, retryAfter } = problem;
  // What a server says is English; what this page says is in its own language.
  for (const id of ["error-title", "error-detail", "error-fields"]) {
    if (problem.isOurs) $(id).removeAttribute("lang");
    else $(id).lang = "en";
  }
  $("error-title").textContent = title;
  $("error-detail").textContent =
    retryAfter === null ? detail : `${detail} ${t("problem.wait", { seconds: retryAfter })}`;
  $("error-fields").replaceChildren(...(errors ?? []).map((field) =>
    element("li", {}, element("code", {}, field.pointer), ` ${field.detail}`)));
  $("error-fields").hidden = (errors ?? []).length < 2; // the detail tells of the first
  $("retry").hidden = !canRetry;
  $("error-about").hidden = !type.startsWith("/docs#");
  if (!$("error-about").hidden) $("error-about").href = type.slice(1); // from this page, wherever a proxy puts it
  $("error").hidden = false;
}

export const needsKey = (problem) => problem.status === 401;

export function askForKey(problem) {
  const refused = apiKey() !== "";
  $("key-why").textContent = refused
    ? `${t("key.refused")} ${problem.detail}`
    : t("key.none");
  $("key-card").hidden = false;
  $("key-forget").hidden = !refused;
  $("key").value = "";
  $("key").focus();
}

function showKeyButton() {
  $("key-open").hidden = apiKey() === "";
}

// `onKey` is called when there is another key, or none any more.
export function watchKey(onKey) {
  $("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const key = $("key").value.trim();
    if (!/^[!-~]+$/.test(key)) {
      $("key-why").textContent = t("key.malformed");
      return;
    }
    setApiKey(key);
    $("key-card").hidden = true;
    showKeyButton();
    onKey();
  });
  $("key-forget").addEventListener("click", () => {
    setApiKey("");
    $("key-card").hidden = true;
    showKeyButton();
    onKey();
  });
  $("key-open").addEventListener("click", () => {
    $("key-card").hidden = !$("key-card").hidden;
    $("key-why").textContent = t("key.replaces");
    $("key-forget").hidden = false;
    if (!$("key-card").hidden) $("key").focus();
  });
  showKeyButton();
}
