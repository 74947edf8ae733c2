/** Captions and tags that fit, each with the pictures that have it. */

import { el, emit } from "../core/dom.js";
import { place } from "../core/api.js";
import { set, state } from "../core/state.js";
import { languageOf } from "../core/words.js";
import { score } from "./card.js";
import { termOf } from "./filter_terms.js";

const SHOWN = 8;

/** A list of texts; chosen, one is what is asked next. */
export function textResults(hits) {
  return el("ol", { class: "texts", role: "list", label: "results" }, ...hits.map(row));
}

function row(hit) {
  const asked = () => set({ draft: hit.text, minus: false, parts: [], of: "images", threshold: null });
  const filtered = () => set({ draft: "", parts: [], of: "images", threshold: null, filter: termOf(hit.kind, [hit.text]) });
  const pictures = hit.images.slice(0, SHOWN).map((id) => thumbnail(id, hit));
  return el(
    "li",
    { class: "text-hit" },
    el("span", { class: "card-score number" }, score(hit.score)),
    el(
      "div",
      {},
      el("p", { class: "text-said", lang: languageOf(hit.text) }, hit.text),
      el("p", { class: "small quiet" }, el("span", { words: `texts.${hit.kind}` }), " · ", el("span", { words: ["texts.pictures", { count: hit.image_count }] })),
      el("div", { class: "text-pictures" }, ...pictures),
    ),
    el(
      "div",
      { class: "text-tools" },
      el("button", { type: "button", class: "link", words: "texts.search", onclick: asked }),
      el("button", { type: "button", class: "link", words: "texts.show", onclick: filtered }),
    ),
  );
}

function thumbnail(id, hit) {
  const image = el("img", { src: `${place(state.index, "pictures", id, "thumbnail")}?size=160`, loading: "lazy" });
  image.alt = "";
  image.addEventListener("error", () => image.closest("button").remove());
  const label = ["texts.more_like", { id }];
  return el("button", { type: "button", class: "text-picture", label, title: label, onclick: () => liked(id, hit) }, image);
}

function liked(id, hit) {
  emit("like", { hit: { id, name: hit.text }, index: state.index });
}
