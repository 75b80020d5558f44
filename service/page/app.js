// The page's behaviour: ask the server, show the answer.
"use strict";

const EXAMPLES = [
  { language: "en", title: "News", text: "Angela Merkel visited Toyota in Nagoya on Monday, where engineers from Fraunhofer and the University of Tokyo showed her a hydrogen bus. Two days later she flew on to Seoul." },
  { language: "en", title: "Football", text: "Ajax lost 2-1 at home to Celtic after Jota scored twice. Manager Ange Postecoglou, who left Yokohama for Glasgow in 2021, praised the fans who had come from Scotland." },
  { language: "en", title: "Message", text: "Ana's flight from São Paulo is late ✈️ so Zoë will meet her in Lisbon instead — can someone at TAP tell Mr O'Brien? 🙏" },
  { language: "zh", title: "新闻", text: "周三，李明代表华东电力公司在上海会见了来自东京的客人。" },
  { language: "zh", title: "简历", text: "王芳女士，1975年出生，毕业于浙江大学，现任宁波海达股份有限公司董事。" },
];
const HUES = 8;

const $ = (id) => document.getElementById(id);
const state = { models: [], labels: [], request: null };

const hueOf = (label) => {
  if (!state.labels.includes(label)) state.labels.push(label);
  return state.labels.indexOf(label) % HUES;
};

async function call(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw { title: "The server cannot be reached", detail: "Is it still running? Then try again." };
  }
  const reply = await response.json().catch(() => ({
    title: `The server answered ${response.status}`, detail: "and not in JSON.",
  }));
  if (!response.ok) throw reply;
  return reply;
}

function showError(problem) {
  $("error").hidden = !problem;
  $("error-title").textContent = problem?.title ?? "";
  $("error-detail").textContent = problem?.detail ?? "";
}

function showResult(text, reply, body, milliseconds) {
  const { entities } = reply.results[0];
  const found = `${entities.length} ${entities.length === 1 ? "entity" : "entities"}`;
  $("status").textContent =
    `${found} · ${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms · ` +
    `${reply.model.name} ${reply.model.version}`;
  $("legend").replaceChildren(...legend(entities, hueOf));
  $("marked").replaceChildren(...markedText([...text], entities, hueOf));
  $("rows").replaceChildren(...tableRows(entities, hueOf));
  $("json").textContent = JSON.stringify(reply, null, 2);
  $("curl").textContent = curlCommand(`${location.origin}/v1/tag`, body);
  $("empty").hidden = entities.length > 0;
  $("empty").textContent = "No entities found in this text.";
  $("result").hidden = false;
}

function clearResult() {
  $("result").hidden = true;
  $("status").textContent = "";
  $("empty").hidden = false;
  $("empty").textContent = "Nothing tagged yet.";
}

async function tag() {
  const text = $("text").value;
  state.request?.abort();
  state.request = new AbortController();
  const { signal } = state.request;
  const body = { text, ...(state.models.length > 1 && { model: $("model").value }) };
  $("submit").setAttribute("aria-busy", "true");
  try {
    const start = performance.now();
    const reply = await call("/v1/tag", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal,
    });
    const milliseconds = performance.now() - start;
    if (reply.results[0].error) throw reply.results[0].error;
    showError(null);
    showResult(text, reply, body, milliseconds);
  } catch (error) {
    if (error.name === "AbortError") return;
    clearResult();
    showError(error);
  } finally {
    if (state.request.signal === signal) $("submit").removeAttribute("aria-busy");
  }
}

function currentModel() {
  return state.models.find((model) => model.name === $("model").value);
}

function showModel() {
  const model = currentModel();
  state.labels = [...model.labels];
  $("model-name").textContent =
    state.models.length > 1 ? model.version : `${model.name} ${model.version}`;
  $("model-name").title = model.description;
  const fitting = EXAMPLES.filter(({ language }) => language === model.language);
  $("examples").replaceChildren(...(fitting.length ? fitting : EXAMPLES).map(exampleButton));
}

function exampleButton({ language, title, text }) {
  const button = element("button", { type: "button", lang: language }, title);
  button.addEventListener("click", () => {
    $("text").value = text;
    tag();
  });
  return button;
}

async function loadModels() {
  const { default: name, models } = await call("/v1/models");
  state.models = models;
  $("model").replaceChildren(...models.map((model) => element("option", {}, model.name)));
  $("model").value = name;
  $("model-choice").hidden = models.length < 2;
  showModel();
}

function showTab(chosen) {
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const isChosen = tab === chosen;
    tab.setAttribute("aria-selected", String(isChosen));
    tab.tabIndex = isChosen ? 0 : -1;
    $(tab.getAttribute("aria-controls")).hidden = !isChosen;
  }
}

function moveBetweenTabs(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const next = tabs.at((tabs.indexOf(event.target) + step) % tabs.length);
  showTab(next);
  next.focus();
}

async function copy(button) {
  await navigator.clipboard.writeText($(button.dataset.copies).textContent);
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

function start() {
  if (navigator.platform.startsWith("Mac")) $("keys").textContent = "⌘ ⏎";
  $("form").addEventListener("submit", (event) => {
    event.preventDefault();
    tag();
  });
  $("text").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    tag();
  });
  $("model").addEventListener("change", () => {
    showModel();
    clearResult();
  });
  for (const tab of document.querySelectorAll("[role=tab]")) {
    tab.addEventListener("click", () => showTab(tab));
    tab.addEventListener("keydown", moveBetweenTabs);
  }
  for (const button of document.querySelectorAll(".copy")) {
    button.addEventListener("click", () => copy(button));
    button.hidden = !navigator.clipboard; // only where the page is secure or local
  }
  showTab($("tab-table"));
  loadModels().catch(showError);
}

start();
