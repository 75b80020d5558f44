// The page's behaviour: what is typed or chosen becomes a request, its answer is shown.

import { $, element, toast } from "./dom.js";
import { callPatiently, Problem } from "./api.js";
import { showTheme, watchTheme } from "./appearance.js";
import { hideDetails, watchDetails } from "./details.js";
import { askForKey, hideError, needsKey, showError, watchKey } from "./errors.js";
import { examplesFor } from "./examples.js";
import { watchFiles } from "./filecards.js";
import { inWords, asMembers, showLeast, watchLeast } from "./filter.js";
import { chooseModel, chosenModel, currentModels, loadModels, requestLabels, showCard, showModels } from "./models.js";
import { URL_PATH, bodyFor } from "./request.js";
import { answeredBy, clearResult, refresh, setStale, showResult } from "./result.js";
import { settingsFromLink, watchShare } from "./share.js";
import { lasting } from "./storage.js";
import { currentTab, watchTabs } from "./tabs.js";
import { t, watchLanguage } from "./words.js";

const PAUSE = 250; // milliseconds without a key before what was typed is tagged
const LONGEST_LIVE = 2000; // characters; longer texts wait for the button
const TRIES = 4;

let inside; // the tab's module, fetched when it is first opened

const state = {
  text: null, // what was tagged last
  answers: new Map(), // of that text, by request
  parts: new Set(), // switches of the JSON tab
  controller: null,
  timer: 0,
};

function setBusy(isBusy) {
  $("busy").hidden = !isBusy;
  $("answer").setAttribute("aria-busy", String(isBusy));
  $("submit").toggleAttribute("data-busy", isBusy);
}

function stop() {
  clearTimeout(state.timer);
  const wasBusy = state.controller !== null;
  state.controller?.abort();
  state.controller = null;
  setBusy(false);
  return wasBusy;
}

function showWait(seconds) {
  $("answer").hidden = false;
  $("status").textContent =
    t("busy", { seconds: Math.max(1, Math.ceil(seconds)) });
}

async function ask(body, signal) {
  const answer = await callPatiently(URL_PATH, { body, signal, tries: TRIES, onWait: showWait });
  const { error } = answer.reply.results[0];
  if (error) throw new Problem(error);
  return { ...answer, body, text: body.text };
}

function fail(problem) {
  clearResult({ hideCard: true });
  if (needsKey(problem)) askForKey(problem);
  else showError(problem);
}

// Shows the view that is open of the text that was tagged last, asking for what it lacks.
async function present() {
  if (state.text === null) return;
  const body = bodyFor(currentTab(), {
    text: state.text, model: chosenModel(), parts: state.parts, paths: Number($("paths").value),
  });
  const key = JSON.stringify(body);
  stop();
  const controller = new AbortController();
  state.controller = controller;
  try {
    if (!state.answers.has(key)) {
      setBusy(true);
      state.answers.set(key, await ask(body, controller.signal));
    }
    if (state.controller !== controller) return;
    hideError();
    const answer = state.answers.get(key);
    showResult(answer);
    if (currentTab() === "inside") {
      setBusy(true);
      inside ??= await import("./insidetab.js");
      await inside.lookInside({ text: state.text, model: chosenModel(), answered: answeredBy(answer), signal: controller.signal });
    } else {
      inside?.leaveInside();
    }
  } catch (error) {
    if (error.name === "AbortError" || state.controller !== controller) return;
    fail(error);
  } finally {
    if (state.controller === controller) {
      state.controller = null;
      setBusy(false);
    }
  }
}

function tag() {
  state.text = $("text").value;
  state.answers.clear();
  return present();
}

function forget() {
  stop();
  state.text = null;
  state.answers.clear();
  hideError();
  clearResult();
}

function showLength() {
  const { value } = $("text");
  const length = value.length > 100000 ? value.length : [...value].length;
  $("length").textContent = t("text.length", { n: length });
  $("clear").hidden = value === "";
}

function typed(event) {
  showLength();
  clearTimeout(state.timer);
  const text = $("text").value;
  if (!text.trim()) {
    forget();
    return;
  }
  setStale(text !== state.text);
  const isDue = $("live").checked && text.length <= LONGEST_LIVE && !event?.isComposing;
  if (isDue && text !== state.text) state.timer = setTimeout(tag, PAUSE);
}

// Through the editing command, so that undo brings the text back.
function clearText() {
  $("text").focus();
  $("text").select();
  document.execCommand("delete");
  $("text").value = "";
  typed();
}

function exampleButton({ language, title, text }) {
  const button = element("button", { type: "button", lang: language, class: "pill", ...(title !== text && { title: text }) }, title);
  button.addEventListener("click", () => {
    $("text").value = text;
    showLength();
    tag();
  });
  return button;
}

function showExamples() {
  const examples = new Map(currentModels().flatMap(examplesFor).map((one) => [one.text, one]));
  $("examples").replaceChildren(...[...examples.values()].map(exampleButton));
}

async function start() {
  const wanted = settingsFromLink();
  try {
    await loadModels();
    if (wanted) chooseModel(wanted);
    showExamples();
    hideError();
  } catch (error) {
    if (needsKey(error)) askForKey(error);
    else showError(error);
  }
}

async function again() {
  await start();
  if (state.text !== null) await present();
}

function escape() {
  if (hideDetails()) return;
  if (stop()) toast(t("stopped"));
  else if (document.activeElement === $("text") && $("text").value) {
    clearText();
    toast(t("text.cleared"));
  }
}

function watchKeys() {
  if (navigator.platform.startsWith("Mac")) $("keys").textContent = "⌘ ⏎";
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") escape();
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    tag();
  });
}

function watchEditor() {
  $("form").addEventListener("submit", (event) => {
    event.preventDefault();
    tag();
  });
  $("text").addEventListener("input", typed);
  $("text").addEventListener("compositionend", () => typed());
  $("clear").addEventListener("click", clearText);
  $("live").checked = lasting.get("live") !== "off";
  $("live").addEventListener("change", () => {
    lasting.set("live", $("live").checked ? "on" : "off");
    typed();
  });
}

function watchChoices() {
  $("model").addEventListener("change", () => {
    showCard();
    showExamples();
    present();
  });
  $("paths").addEventListener("change", present);
  for (const box of document.querySelectorAll("input[name=part]")) {
    box.addEventListener("change", () => {
      if (box.checked) state.parts.add(box.value);
      else state.parts.delete(box.value);
      present();
    });
  }
  let frame = 0;
  watchLeast(() => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(refresh);
  });
  $("retry").addEventListener("click", again);
}

function watchCopies() {
  for (const button of document.querySelectorAll(".copy")) {
    button.hidden = !navigator.clipboard; // there only where the page is secure or local
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText($(button.dataset.copies).textContent);
      button.textContent = t("copied");
      setTimeout(() => { button.textContent = t("copy"); }, 1500);
    });
  }
}

function relabel() {
  showTheme();
  showLength();
  showModels();
  if (state.text !== null) present(); // what was asked for is still here
}

watchLanguage(relabel);
watchTheme();
watchDetails();
watchTabs(present);
watchKeys();
watchEditor();
watchChoices();
watchCopies();
watchShare();
watchKey(again);
watchFiles(() => {
  const labels = requestLabels();
  return { model: chosenModel(), members: asMembers(labels), words: inWords(labels) };
}, askForKey);
showLength();
await start();
showLeast();
// The browser kept it over a reload, or it was typed before the page was ready.
if ($("text").value && $("live").checked) tag();
