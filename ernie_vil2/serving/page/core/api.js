/** Questions to the server: JSON, one sentence for everything that goes wrong, and patience when it is busy. */

import { emit } from "./dom.js";
import { languageTag, sentence, t } from "./words.js";

const PATIENCE = { tries: 5, seconds: 10 };
const SOON = ["busy", "opening"]; // codes of what may be asked again after a moment
const BETWEEN = [502, 503, 504]; // what a proxy says, in words of its own, of a server that it does not reach

/** What the server said no with: `code`, `message` in the page's language, `status` (0: it was not reached), `values`. */
export class ApiError extends Error {
  constructor(status, { code, message, values = {} }, retryAfter = 0) {
    super(sentence(message));
    Object.assign(this, { status, code, values, retryAfter });
  }
}

/** The path of an index, or of what lies below it. */
export function place(index, ...names) {
  return ["/api/indexes", ...[index, ...names].map(encodeURIComponent)].join("/");
}

/** @param {{query?: Object, signal?: AbortSignal}} options */
export function get(path, { query, signal } = {}) {
  return ask(query ? `${path}?${new URLSearchParams(query)}` : path, { signal });
}

/** @param {{signal?: AbortSignal}} options */
export function post(path, json, { signal } = {}) {
  const headers = { "Content-Type": "application/json" };
  return ask(path, { method: "POST", body: JSON.stringify(json), headers, signal });
}

export function remove(path) {
  return ask(path, { method: "DELETE" });
}

async function ask(path, { headers, ...options }, tried = 1) {
  const language = { "Accept-Language": languageTag(), Accept: "application/json" };
  let answer, text;
  try {
    answer = await fetch(path, { ...options, headers: { ...language, ...headers } });
    text = await answer.text(); // a server that dies in the middle of its answer is gone as well
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw gone();
  }
  if (isAway(answer.status, text)) throw gone();
  emit("server", { there: true });
  if (answer.ok) return text ? JSON.parse(text) : null;
  const error = refusal(answer.status, text, Number(answer.headers.get("Retry-After")));
  if (!SOON.includes(error.code) || tried >= PATIENCE.tries) throw error;
  await pause(Math.min(Math.max(error.retryAfter, 1), PATIENCE.seconds), options.signal);
  return ask(path, { headers, ...options }, tried + 1);
}

function gone() {
  emit("server", { there: false });
  return new ApiError(0, { code: "gone", message: t("server.gone") });
}

function isAway(status, text) {
  return BETWEEN.includes(status) && !told(text);
}

/** Why the server itself said no; null for what something between it and the page said. */
function told(text) {
  try {
    return JSON.parse(text).error ?? null;
  } catch {
    return null;
  }
}

function refusal(status, text, retryAfter) {
  const error = new ApiError(status, told(text) ?? { code: "failed", message: t("server.failed", { status }) }, retryAfter || 0);
  if (status === 401 && error.code !== "wrong_key") emit("key-needed");
  return error;
}

function pause(seconds, signal) {
  return new Promise((done, stopped) => {
    const timer = setTimeout(done, seconds * 1000);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      stopped(new DOMException("stopped", "AbortError"));
    });
  });
}

/**
 * Send a picture to an index, whose model encodes it at once.
 *
 * @param {{signal?: AbortSignal, onprogress?: function(number): void}} options progress is a share of the bytes
 * @returns {Promise<{upload: string, width: number, height: number, format: string}>}
 */
export async function upload(index, file, { signal, onprogress } = {}, tried = 1) {
  const [status, text, retryAfter] = await send(place(index, "uploads"), file, signal, onprogress);
  if (status === 0 || isAway(status, text)) throw gone();
  if (status < 300) return JSON.parse(text);
  const error = refusal(status, text, retryAfter);
  if (!SOON.includes(error.code) || tried >= PATIENCE.tries) throw error;
  await pause(Math.min(Math.max(error.retryAfter, 1), PATIENCE.seconds), signal);
  return upload(index, file, { signal, onprogress }, tried + 1);
}

function send(path, file, signal, onprogress) {
  return new Promise((done, stopped) => {
    const request = new XMLHttpRequest(); // fetch does not tell how much was sent
    const body = new FormData();
    body.append("image", file, file.name || "image");
    request.open("POST", path);
    request.setRequestHeader("Accept-Language", languageTag());
    request.upload.onprogress = (event) => onprogress?.(event.total ? event.loaded / event.total : 0);
    request.onload = () => done([request.status, request.responseText, Number(request.getResponseHeader("Retry-After"))]);
    request.onerror = () => done([0, "", 0]);
    request.onabort = () => stopped(new DOMException("stopped", "AbortError"));
    signal?.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}
