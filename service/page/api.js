// Calls of the API: one way to ask, one shape of error, patience when the server is busy.

import { session } from "./storage.js";
import { t } from "./words.js";

// Where the service is: below a prefix where a proxy puts it there.
const ROOT = new URL("../", import.meta.url);

// The address of an endpoint, such as "/v1/tag".
export const addressOf = (path) => ROOT.href + path.slice(1);

const KEY = "key";
const LONGEST_WAIT = 60; // seconds

export const apiKey = () => session.get(KEY) ?? "";
export const setApiKey = (key) => (key ? session.set(KEY, key) : session.remove(KEY));

// An error for people. `status` is 0 when there was no answer at all.
export class Problem extends Error {
  constructor({ title, detail = "", status = 0, type = "", errors = [] }, retryAfter = null) {
    super(title);
    Object.assign(this, { title, detail, status, type, errors, retryAfter, isOurs: false });
  }

  // Is the server merely busy, so that waiting helps?
  get passes() {
    return this.status === 429 || this.status === 503;
  }
}

// An error that this page itself tells.
function ours(title, detail, status = 0) {
  return Object.assign(new Problem({ title, detail, status }), { isOurs: true });
}

async function answered(path, options) {
  try {
    return await fetch(addressOf(path), options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw ours(t("problem.unreachable"), t("problem.unreachable.detail"));
  }
}

async function parsed(response) {
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw ours(t("problem.status", { status: `${response.status}` }), t("problem.status.detail"), response.status);
  }
}

function waitOf(response) {
  const seconds = Number(response.headers.get("retry-after") || NaN);
  return Number.isFinite(seconds) ? Math.min(LONGEST_WAIT, Math.max(0, seconds)) : null;
}

// `infer;dur=1.5, decode;dur=0.2` -> [["infer", 1.5], ["decode", 0.2]], in milliseconds.
export function phasesOf(header) {
  return [...(header ?? "").matchAll(/([\w-]+)[^,]*?;\s*dur=([\d.]+)/g)]
    .map(([, name, value]) => [name, Number(value)]);
}

// Posts `body` as JSON, or gets when there is none. Throws a Problem, or the AbortError of `signal`.
export async function call(path, { body, signal } = {}) {
  const key = apiKey();
  const headers = {
    ...(body !== undefined && { "content-type": "application/json" }),
    ...(key && { authorization: `Bearer ${key}` }),
  };
  const start = performance.now();
  const response = await answered(path, {
    method: body === undefined ? "GET" : "POST",
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    signal,
    cache: "no-store",
  });
  const reply = await parsed(response);
  const took = performance.now() - start;
  if (!response.ok || reply.title) throw new Problem({ status: response.status, ...reply }, waitOf(response));
  return { reply, took, phases: phasesOf(response.headers.get("server-timing")) };
}

export function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, 1000 * seconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

// As `call`, but a busy server is asked again when it says so, up to `tries` times in all.
export async function callPatiently(path, { tries, onWait, ...options }) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call(path, options);
    } catch (error) {
      if (!error.passes || attempt >= tries) throw error;
      const seconds = error.retryAfter ?? Math.min(10, 2 ** (attempt - 1));
      onWait?.(seconds, error);
      await pause(Math.max(0.05, seconds), options.signal);
    }
  }
}
