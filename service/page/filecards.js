// Files: dropped or chosen, tagged one after the other, each with a card of its own.

import { $, bytes, element, percent, toast, whole } from "./dom.js";
import { apiKey } from "./api.js";
import { bare, kindOf } from "./formats.js";
import { Job } from "./job.js";
import { hueOf } from "./labels.js";
import { markedNodes } from "./marked.js";
import { t } from "./words.js";

let last = Promise.resolve(); // files wait for the one before

function download(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  // Not at once: the browser may still be asking where to put it.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const button = (text, action, kind = "") => {
  const node = element("button", { type: "button", class: kind }, text);
  node.addEventListener("click", action);
  return node;
};

// A sample as points and entities over them; the tokens of a sentence are joined by spaces.
function asText({ item, result }) {
  if (item.kind === "texts") return [[...item.input], result.entities];
  const starts = [0];
  for (const token of item.input) starts.push(starts.at(-1) + [...token].length + 1);
  const entities = result.entities.map((entity) =>
    ({ ...entity, start: starts[entity.start], end: starts[entity.end] - 1 }));
  return [[...item.input.join(" ")], entities];
}

const sample = (entry) => element("li", { dir: "auto" }, ...markedNodes(...asText(entry)));

function failures({ failures: number, listed }) {
  const rows = listed.map(({ line, error }) =>
    element("li", {}, element("strong", {}, t("files.line", { n: line })), " ", element("span", { lang: "en" }, error)));
  const left = number - listed.length;
  return element("details", { class: "failures", open: number <= 5 },
    element("summary", {}, t("files.failed", { n: number })),
    element("ul", {}, ...rows, ...(left ? [element("li", {}, t("files.andmore", { n: left }))] : [])));
}

const found = ({ entities }) => [...entities].sort().map(([label, number]) =>
  element("span", { class: "tally", "data-hue": hueOf(label) },
    element("span", { class: "dot", "aria-hidden": "true" }), `${label} ${whole(number)}`));

// The card of one file; it is made anew at each step, but for the bar, the buttons and the note.
class Card {
  constructor(file, words) {
    this.bar = element("progress", { max: String(Math.max(1, file.size)), value: "0", "aria-label": t("files.progress", { name: file.name }) });
    this.share = element("span", { class: "quiet tabular" }, t("files.waiting"));
    this.line = element("p", { class: "quiet tabular" });
    this.found = element("p", { class: "row tallies" });
    this.failed = element("div");
    this.samples = element("ul", { class: "samples" });
    this.note = element("p", { class: "job-note", role: "status" });
    this.buttons = element("p", { class: "row" });
    this.node = element("li", { class: "job" },
      element("div", { class: "row between" },
        element("h3", {}, element("bdi", {}, file.name), element("span", { class: "quiet" }, ` ${bytes(file.size)}${words && `, ${words}`}`)),
        this.share),
      this.bar, this.line, this.note, this.found, this.samples, this.failed, this.buttons);
    this.shown = 0;
  }

  progress(job) {
    const share = job.file.size ? job.done / job.file.size : 1;
    this.bar.value = job.file.size ? job.done : 1;
    this.share.textContent = job.state === "running" ? percent(Math.floor(1000 * share) / 1000) : t(`files.${job.state}`);
    const rate = job.items / Math.max(0.001, (performance.now() - job.started) / 1000);
    this.line.textContent = t(job.kind === "conll" ? "files.sentences" : "files.lines",
      { n: job.items, rate: Math.round(rate) });
    this.note.textContent = "";
    this.found.replaceChildren(...found(job));
    if (job.samples.length > this.samples.childElementCount) this.samples.replaceChildren(...job.samples.map(sample));
    if (job.failures > this.shown) this.failed.replaceChildren(failures(job));
    this.shown = job.failures;
    this.node.dataset.state = job.state;
  }
}

function downloads(job) {
  const name = `${bare(job.file.name)}.tagged`;
  const save = (format) => button(t("files.download", { format }), () => download(job.result(format), `${name}.${format}`), format === "jsonl" && job.kind === "conll" ? "" : "primary");
  return job.kind === "conll" ? [save("conll"), save("jsonl")] : [save("jsonl")];
}

function finish(job, card) {
  if (job.state === "broken") {
    if (!job.problem.title && job.problem.name !== "NotReadableError") throw job.problem;
    card.note.textContent = job.problem.title
      ? `${job.problem.title}. ${job.problem.detail}`
      : t("files.unreadable");
  }
  card.buttons.replaceChildren(...(job.items ? downloads(job) : []),
    button(t("files.remove"), () => {
      card.node.remove();
      $("files").hidden = !$("jobs").childElementCount;
    }));
  $("files-status").textContent =
    t("files.status", { name: job.file.name, state: t(`files.${job.state}`), n: job.items, failures: job.failures });
}

// Shows why a file waits for a person, until they let it go on or stop it.
function stuck(card, job, askForKey) {
  return (problem, signal) => new Promise((resolve, reject) => {
    if (problem.status === 401) askForKey(problem);
    const before = apiKey();
    card.note.textContent = `${problem.title}. ${problem.status === 401 ? t("files.givekey") : problem.detail}`;
    const go = button(t("files.continue"), () => {
      if (problem.status === 401 && apiKey() === before) {
        askForKey(problem);
        return;
      }
      go.remove();
      card.note.textContent = "";
      resolve();
    }, "primary");
    card.buttons.prepend(go);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

function begin(file, request, askForKey) {
  const card = new Card(file, request.words);
  $("jobs").append(card.node);
  $("files").hidden = false;
  const job = new Job(file, request, {
    progress: (running) => card.progress(running),
    wait: (seconds) => { card.note.textContent = t("files.busy", { seconds: Math.max(1, Math.ceil(seconds)) }); },
    stuck: (...args) => stuck(card, job, askForKey)(...args),
  });
  card.buttons.append(button(t("files.stop"), () => job.stop()));
  last = last.then(async () => {
    job.started = performance.now();
    await job.run();
    finish(job, card);
  }).catch(reportError); // a fault of this page must not hold up the next file
}

// `choices()` gives what requests are to say, at the time a file is taken.
export function watchFiles(choices, askForKey) {
  const take = (files) => {
    const good = [...files].filter(({ name }) => kindOf(name));
    if (good.length < files.length) toast(t("files.taken"));
    for (const file of good) begin(file, choices(), askForKey);
    if (good.length) $("files").scrollIntoView({ block: "nearest" });
  };
  $("choose").addEventListener("click", () => $("picker").click());
  $("picker").addEventListener("change", () => {
    take($("picker").files);
    $("picker").value = ""; // so that the same file can be chosen again
  });
  watchDrops(take);
}

function watchDrops(take) {
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  let depth = 0; // each element under the pointer says enter and leave
  const show = (by) => {
    depth = by === 0 ? 0 : Math.max(0, depth + by);
    $("veil").hidden = depth === 0;
  };
  addEventListener("dragenter", (event) => holdsFiles(event) && show(1));
  addEventListener("dragleave", (event) => holdsFiles(event) && show(-1));
  addEventListener("dragover", (event) => holdsFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    show(0);
    take(event.dataTransfer.files);
  });
}
