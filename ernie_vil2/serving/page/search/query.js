/** The query that the page shows, asked of the server: the newest answer wins, and what was shown before is kept to go back to. */

import { ApiError, place, post } from "../core/api.js";
import { later } from "../core/dom.js";
import { currentIndex, on, state } from "../core/state.js";
import { asked, knows } from "../core/uploads.js";

export const PAGE = 40;
export const MOST = 10000;
const KEYS = ["index", "draft", "minus", "parts", "filter", "threshold", "of"];
const SLOW = 300;
const LATER = 10; // seconds
const KEPT = 12;

/**
 * The answer on the page. phase: asking, slow, shown, failed, or away while the server does not answer; hits: of all pages that were loaded; more: whether there
 * are further ones; stopped: whether they end at the most that the server counts; key: of the query they answer.
 */
export const answer = {
  phase: "asking",
  key: "",
  hits: [],
  page: 0,
  total: null,
  background: null,
  more: false,
  stopped: false,
  loading: false,
  error: null,
  scroll: 0,
};

const kept = new Map();
const listeners = [];
let running = new AbortController();

/** Call `fn(answer, what)` when the answer changes; what: "new", "more" or "phase". */
export function onAnswer(fn) {
  listeners.push(fn);
}

function tell(what) {
  for (const fn of listeners) fn(answer, what);
}

/** The parts of the query, the text in the box among them. */
export function allParts() {
  const draft = state.draft.trim();
  return draft ? [{ text: draft, weight: 1, minus: state.minus }, ...state.parts] : state.parts;
}

/** Whether something is asked for: without it the newest pictures are shown. */
export function isAsked() {
  return allParts().some((part) => !part.minus);
}

/** What stands for a query: two that are equal have the same answer. */
function keyOf() {
  const { index, filter, threshold, of } = state;
  const parts = allParts().map(({ preview, thumbnail, name, ...part }) => part);
  return JSON.stringify({ index, filter, threshold, of, parts });
}

/** Ask whenever the query changes. */
export function startQuery() {
  on(KEYS, () => ask());
  on(["language"], () => answer.phase === "failed" && ask());
  on(["indexes"], () => {
    if (answer.phase === "failed" && answer.error.status === 503 && currentIndex()?.state === "ready") ask({ again: true });
  });
  document.addEventListener("server", ({ detail }) => {
    if (detail.back && ["away", "failed"].includes(answer.phase)) ask({ again: true });
  });
}

/** Ask for the first page, or show what is still known of it. `again` asks the server in any case. */
export async function ask({ again = false } = {}) {
  if (!state.index) return;
  const key = keyOf();
  if (key === answer.key && answer.phase === "shown" && !again) return;
  keep();
  running.abort();
  running = new AbortController();
  const known = kept.get(key);
  if (known && !again) {
    Object.assign(answer, known, { loading: false });
    return tell("new");
  }
  const { signal } = running;
  const quiet = again && key === answer.key;
  if (!quiet) Object.assign(answer, { scroll: 0, phase: "asking" });
  Object.assign(answer, { key, loading: false });
  tell("phase");
  const slow = setTimeout(() => {
    if (signal.aborted || quiet) return;
    answer.phase = "slow";
    tell("phase");
  }, SLOW);
  try {
    take(await send(1, signal), true);
    if (!signal.aborted) tell("new");
  } catch (error) {
    if (error.name === "AbortError" || signal.aborted) return;
    fail(error);
  } finally {
    clearTimeout(slow);
  }
}

function take(found, first) {
  answer.error = null;
  answer.page = found.page;
  answer.hits = first ? found.hits : [...answer.hits, ...found.hits];
  answer.total = found.total;
  if (first) answer.background = found.background;
  answer.stopped = (found.page + 1) * PAGE > MOST && found.hits.length === PAGE;
  answer.more = found.hits.length === PAGE && !answer.stopped && (found.total === null || answer.hits.length < found.total);
  answer.phase = "shown";
}

/**
 * What was shown stays when nobody answers: it is asked again as soon as the server is back; an index that is
 * opened, or was taken away, is asked again by and by.
 */
function fail(error) {
  if (!(error instanceof ApiError)) throw error;
  if (error.code === "gone" && answer.hits.length) {
    answer.phase = "away";
    return tell("phase");
  }
  const told = answer.phase === "failed" && answer.error.code === error.code;
  Object.assign(answer, { phase: "failed", error, more: false });
  if (error.status !== 503) return tell("new");
  if (!told) tell("new");
  setTimeout(() => answer.error === error && ask({ again: true }), 1000 * (error.retryAfter || LATER));
}

/** The next page, behind what is there. @returns {Promise<Object[]>} all hits that are loaded now */
export async function loadMore() {
  if (!answer.more || answer.loading) return answer.hits;
  answer.loading = true;
  tell("phase");
  const { signal } = running;
  try {
    const found = await send(answer.page + 1, signal);
    if (signal.aborted) return answer.hits;
    take(found, false);
    answer.loading = false;
    tell("more");
  } catch (error) {
    if (error.name === "AbortError" || signal.aborted) return answer.hits;
    if (!(error instanceof ApiError)) throw error;
    answer.loading = false;
    answer.error = error;
    tell("phase");
  }
  return answer.hits;
}

function send(page, signal) {
  const { index, filter, threshold, of } = state;
  const known = allParts().filter((part) => !("upload" in part) || knows(part.upload));
  const wanted = known.some((part) => !part.minus) ? known : [];
  const scored = wanted.length ? { threshold } : { threshold: null };
  return asked(index, wanted, (sent) => {
    const parts = sent.filter((_, at) => !wanted[at].minus);
    const minus = sent.filter((_, at) => wanted[at].minus);
    const kind = wanted.length ? of : "images";
    return post(place(index, "search"), { parts, minus, k: PAGE, page, filter, ...scored, of: kind }, { signal });
  });
}

/** Remember what is shown and where the person is in it. */
function keep() {
  if (!answer.key || answer.phase !== "shown") return;
  kept.delete(answer.key);
  kept.set(answer.key, { ...answer, scroll: scrollY });
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
}

/** Forget answers of an index that has changed, and ask again when nobody has scrolled away from the top. */
export const renew = later((sequence) => {
  kept.clear();
  if (sequence && scrollY < innerHeight && answer.phase === "shown") ask({ again: true });
}, 200);

