/** Texts for a picture: its own captions and tags, and those of the whole index that lie nearest to it. */

import { place, post } from "../core/api.js";
import { el, emit } from "../core/dom.js";
import { asked } from "../core/uploads.js";
import { number, quote } from "../core/words.js";

const NEAREST = 8;

/** Search by a text that is clicked: the query becomes that text. */
function searcher(text, look) {
  const parts = [{ text, weight: 1, minus: false }];
  const button = el("button", {
    type: "button",
    class: look,
    title: "texts.ask",
    onclick: () => emit("search-by", { parts }),
  });
  quote(button, text);
  return button;
}

function group(words, lines) {
  return lines.length ? [el("h3", { words }), el("ul", { class: "text-lines" }, lines)] : [];
}

/**
 * @param {{caption: string, tags: string|string[], texts?: (string|Object)[]}} hit
 * @returns {{captions: string[], tags: string[]}} each text once
 */
export function textsOf(hit) {
  const tags = (Array.isArray(hit.tags) ? hit.tags : String(hit.tags ?? "").split(/[,，;；\s]+/)).filter(Boolean);
  const texts = (hit.texts ?? []).filter((text) => text.kind !== "tags").map((text) => text.text ?? text);
  const captions = [...new Set([hit.caption, ...texts].filter(Boolean))];
  return { captions: captions.filter((text) => text !== hit.tags && !tags.includes(text)), tags: [...new Set(tags)] };
}

/** The captions and tags that belong to a picture; nothing where it has none. */
export function ownTexts(hit) {
  const { captions, tags } = textsOf(hit);
  const lines = captions.map((text) => el("li", {}, searcher(text, "text-line")));
  const chips = tags.map((tag) => searcher(tag, "word-chip"));
  return [
    ...group("texts.captions", lines),
    tags.length > 0 && [el("h3", { words: "texts.tags" }), el("div", { class: "word-chips" }, chips)],
  ];
}

/**
 * The captions and tags of the index that are nearest to a picture.
 *
 * @param {string} index
 * @param {Object} part the picture as a part of a query
 * @param {AbortSignal} signal
 * @returns {Promise<HTMLElement>}
 */
export async function nearestTexts(index, part, signal) {
  const ask = (of) =>
    asked(index, [part], (parts) => post(place(index, "search"), { parts, of, k: NEAREST }, { signal }));
  const lines = ({ hits }) =>
    hits.map(({ text, score }) =>
      el(
        "li",
        {},
        searcher(text, "text-line"),
        el("span", { class: "number" }, number(score, { minimumFractionDigits: 3, maximumFractionDigits: 3 })),
      ),
    );
  const [captions, tags] = (await Promise.all([ask("captions"), ask("tags")])).map(lines);
  const found = [...group("texts.near_captions", captions), ...group("texts.near_tags", tags)];
  return found.length ? el("div", {}, found) : el("p", { class: "quiet", words: "texts.none" });
}
