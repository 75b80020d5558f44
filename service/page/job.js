// One file on its way through the server: read in slices, sent in batches, kept as Blob parts.

import { URL_PATH } from "./request.js";
import { call, pause } from "./api.js";
import { conllRows, jsonLine, kindOf, parserFor } from "./formats.js";
import { slicesOf } from "./lines.js";

const MOST_ITEMS = 256;
const MOST_BYTES = 200_000;
const AHEAD = 3; // batches on their way at one time
const PARTS = 64; // strings that are gathered before they become one Blob
const LISTED = 200; // bad lines that are listed; all are counted
const SAMPLES = 3;

// Text that grows without staying in the page's memory: browsers keep Blobs elsewhere.
class Sink {
  #parts = [];
  #blobs = [];

  write(text) {
    this.#parts.push(text);
    if (this.#parts.length >= PARTS) this.#gather();
  }

  #gather() {
    this.#blobs.push(new Blob(this.#parts));
    this.#parts = [];
  }

  blob(type) {
    this.#gather();
    return new Blob(this.#blobs, { type });
  }
}

const isTooMuch = ({ status, type = "" }) => status === 413 || type.endsWith("#too-many-items");

// `request` holds what the page has chosen: {model, members}. `on` has three callbacks:
// progress(job), wait(seconds) and stuck(problem), a promise that ends when it may go on.
export class Job {
  done = 0; // bytes of lines that are dealt with
  items = 0;
  entities = new Map();
  failures = 0;
  listed = [];
  samples = [];
  state = "running"; // then done, stopped or broken
  kind;

  #mostItems = MOST_ITEMS;
  #stuck = null;
  #controller = new AbortController();
  #json = new Sink();
  #conll = new Sink();

  constructor(file, request, on) {
    this.file = file;
    this.kind = kindOf(file.name);
    this.request = request;
    this.on = on;
  }

  stop() {
    this.#controller.abort();
  }

  // What is tagged so far. `format` is "jsonl" or "conll".
  result(format) {
    return format === "conll" ? this.#conll.blob("text/plain") : this.#json.blob("application/x-ndjson");
  }

  async run() {
    try {
      await this.#pump();
      this.state = "done";
    } catch (error) {
      this.state = error.name === "AbortError" ? "stopped" : "broken";
      this.problem = error;
    }
    this.on.progress(this);
  }

  async #pump() {
    const pending = [];
    const drain = async (left) => {
      while (pending.length > left) {
        const { items, read, answers } = pending.shift();
        this.#keep(items, await answers, read);
      }
    };
    for await (const { items, read } of this.#batches()) {
      this.#controller.signal.throwIfAborted();
      const answers = this.#answers(items);
      answers.catch(() => { /* It is thrown where it is awaited. */ });
      pending.push({ items, read, answers });
      await drain(AHEAD - 1);
    }
    await drain(0);
  }

  // Batches of items of one kind. `read` is how much of the file is behind when one is done.
  async *#batches() {
    const parser = parserFor(this.kind);
    let batch = [];
    let size = 0;
    let kind;
    let before = 0;
    const full = (item) => batch.length && (batch.length >= this.#mostItems
      || size + (item.size ?? 0) > MOST_BYTES || (item.kind && kind && item.kind !== kind));
    const whole = (read) => {
      const made = { items: batch, read };
      batch = [];
      size = 0;
      kind = undefined;
      return made;
    };
    for await (const { lines, read } of slicesOf(this.file)) {
      for (const [index, line] of lines.entries()) {
        const at = before + (read - before) * (index / lines.length);
        for (const item of parser.item(line)) {
          if (full(item)) yield whole(at);
          batch.push(item);
          size += item.size ?? 0;
          kind ??= item.kind;
        }
      }
      before = read;
    }
    batch.push(...parser.end());
    yield whole(this.file.size);
  }

  // One result or error for each item, in order; items that were bad as lines are not sent.
  async #answers(items) {
    const good = items.filter(({ error }) => !error);
    const results = good.length ? await this.#send(good) : [];
    let next = 0;
    return items.map((item) => (item.error ? { error: { detail: item.error } } : results[next++]));
  }

  // Halves what is too much for the server; one item that is too much fails alone.
  async #send(items) {
    try {
      return (await this.#ask(items)).results;
    } catch (problem) {
      if (isTooMuch(problem) && items.length > 1) {
        const middle = Math.ceil(items.length / 2);
        this.#mostItems = Math.min(this.#mostItems, middle);
        return [...await this.#send(items.slice(0, middle)), ...await this.#send(items.slice(middle))];
      }
      // 500 says that the model failed on every one of them; others are not to blame.
      if (isTooMuch(problem) || problem.status === 500) return items.map(() => ({ error: problem }));
      throw problem;
    }
  }

  async #ask(items) {
    const { signal } = this.#controller;
    const { model, members } = this.request;
    const body = {
      [items[0].kind]: items.map(({ input }) => input),
      ...(model && { model }), ...members,
      ...(items[0].kind === "tokens" && { include: ["tags"] }),
    };
    for (;;) {
      try {
        return (await call(URL_PATH, { body, signal })).reply;
      } catch (problem) {
        if (problem.passes) {
          const seconds = problem.retryAfter ?? 1;
          this.on.wait(seconds);
          await pause(Math.max(0.05, seconds), signal);
        } else if (problem.status === 0 || problem.status === 401) {
          await this.#freed(problem);
        } else {
          throw problem;
        }
      }
    }
  }

  // Batches that are stuck at one time wait for the same person.
  #freed(problem) {
    this.#stuck ??= this.on.stuck(problem, this.#controller.signal).finally(() => { this.#stuck = null; });
    return this.#stuck;
  }

  #keep(items, answers, read) {
    let json = "";
    let conll = "";
    for (const [index, item] of items.entries()) {
      const { error, ...result } = answers[index];
      if (error) this.#fail({ line: item.line, error: error.detail || error.title });
      else this.#count(item, result);
      const kept = error ? { ...item, error: error.detail || error.title } : item;
      json += jsonLine(kept, error ? null : result);
      if (this.kind === "conll") conll += conllRows(item, error ? null : result);
    }
    this.#json.write(json);
    if (conll) this.#conll.write(conll);
    this.items += items.length;
    this.done = read;
    this.on.progress(this);
  }

  #fail(failure) {
    this.failures += 1;
    if (this.listed.length < LISTED) this.listed.push(failure);
  }

  #count(item, result) {
    for (const { label } of result.entities) {
      this.entities.set(label, (this.entities.get(label) ?? 0) + 1);
    }
    const isTelling = result.entities.length && item.size < 400;
    if (this.samples.length < SAMPLES && isTelling) this.samples.push({ item, result });
  }
}
