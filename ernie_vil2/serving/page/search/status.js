/** What stands in place of pictures: tiles while it takes long, and a sentence with what to do for everything else. */

import { el, icon } from "../core/dom.js";
import { refreshIndexes } from "../core/indexes.js";
import { currentIndex, set, state } from "../core/state.js";
import { quote } from "../core/words.js";
import { answer, ask } from "./query.js";

const TILES = [1.4, 0.8, 1.2, 1, 1.6, 0.75, 1.3, 1, 1.5, 0.9, 1.2, 1.4];

/** Tiles where pictures will be. */
export function skeleton() {
  const tiles = TILES.map((ratio) => el("div", { class: "tile", css: { "--ratio": ratio } }));
  return el("div", { class: "skeleton", role: "status" }, el("span", { class: "spoken", words: "status.searching" }), ...tiles);
}

/** A drawing, a heading, a sentence and buttons, each [words, function]. */
function panel(drawing, heading, sentence, buttons = [], role = null) {
  const told = el("p", { class: "quiet" });
  if (Array.isArray(sentence)) told.append(el("span", { words: sentence }));
  else quote(told, sentence);
  const actions = buttons.map(([words, run]) => el("button", { type: "button", words, onclick: run }));
  return el("div", { class: "panel", role }, icon(drawing), el("h2", { words: heading }), told, el("div", { class: "panel-actions" }, ...actions));
}

/** What is wrong, or null where pictures can be shown. */
export function problem() {
  const index = currentIndex();
  if (!state.indexes.length) return panel("index", "status.no_indexes", ["status.no_indexes_what"], [["retry", refreshIndexes]]);
  if (!index) return panel("index", "status.no_index", ["status.no_index_what", { name: state.index }], [["status.other_index", firstIndex]]);
  if (index.state === "broken") return panel("alert", "status.broken", index.message, [["retry", again]], "alert");
  if (answer.phase === "failed") return failure(answer.error);
  if (answer.phase === "shown" && !answer.hits.length) return index.pictures ? nothing() : panel("picture", "status.empty", ["status.empty_what"]);
  return null;
}

function firstIndex() {
  set({ index: state.indexes[0].name, filter: "", threshold: null });
}

function clearQuery() {
  set({ draft: "", minus: false, parts: [], threshold: null });
}

/** The search first: the server looks for an index that was gone when it is asked of it, and lists it only then. */
async function again({ currentTarget }) {
  currentTarget.disabled = true;
  await ask({ again: true });
  await refreshIndexes();
  currentTarget.disabled = false;
}

function failure(error) {
  const gone = ["index_gone", "index_broken", "no_index", "opening"].includes(error.code);
  const image = state.parts.some((part) => "upload" in part);
  const helps = error.status === 0 || error.status === 429 || error.status >= 500; // another try of the same may go otherwise
  const buttons = helps ? [["retry", again]] : [];
  if (error.code === "filter") buttons.unshift(["none.filter", () => set({ filter: "" })]);
  if (error.code === "threshold") buttons.unshift(["none.threshold", () => set({ threshold: null })]);
  if (image && error.status >= 400 && error.status < 500) {
    buttons.unshift(["status.without_picture", () => set({ parts: state.parts.filter((part) => !("upload" in part)) })]);
  }
  if (["model_missing", "other_model", "other"].includes(error.code) || error.status === 422) buttons.unshift(["box.clear", clearQuery]);
  const told = panel("alert", gone ? "status.broken" : "status.failed", error.message, buttons, "alert");
  told.dataset.code = error.code;
  return told;
}

/** No picture: what to loosen, what narrows most first. */
function nothing() {
  const minus = state.parts.some((part) => part.minus) || (state.minus && state.draft);
  const buttons = [
    state.threshold !== null && ["none.threshold", () => set({ threshold: null })],
    state.filter && ["none.filter", () => set({ filter: "" })],
    minus && ["none.minus", () => set({ parts: state.parts.filter((part) => !part.minus), ...(state.minus ? { draft: "", minus: false } : {}) })],
  ].filter(Boolean);
  return panel("search", "status.none", [buttons.length ? "none.loosen" : "none.other"], buttons);
}
