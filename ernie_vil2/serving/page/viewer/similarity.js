/** Compare with...: how near a picture is to another one, or to a sentence. */

import { place, post } from "../core/api.js";
import { el } from "../core/dom.js";
import { state } from "../core/state.js";
import { asked } from "../core/uploads.js";
import { number } from "../core/words.js";
import { smallPicture } from "./thumbnail.js";

const OFFERED = 24;

/** Pictures to compare with: those selected in this index, then what was found beside it; each once, never itself. */
function others(index, hit, hits) {
  const chosen = [...state.selected.values()]
    .filter((picture) => picture.index === index)
    .map((picture) => picture.hit);
  const seen = new Set([hit.id]);
  return [...chosen, ...hits].filter(({ id }) => id !== undefined && !seen.has(id) && seen.add(id)).slice(0, OFFERED);
}

/**
 * @param {string} index
 * @param {Object} part the picture as a part of a query
 * @param {Object} hit
 * @param {Object[]} hits what was found with it
 * @param {boolean} reads whether the index's model is there to encode a sentence
 * @returns {HTMLElement}
 */
export function similarityForm(index, part, hit, hits, reads) {
  const answer = el("p", { class: "pair-answer", role: "status" });
  const sentence = el("input", { type: "text", class: "wide", placeholder: "pair.example", label: "pair.sentence" });

  async function ask(other, name) {
    try {
      const { score } = await asked(index, [part, other], ([a, b]) => post(place(index, "similarity"), { a, b }));
      const figure = number(score, { minimumFractionDigits: 3, maximumFractionDigits: 3 });
      answer.replaceChildren(
        el("strong", { class: "number" }, figure),
        " ",
        el("span", { words: ["pair.answer", { name }] }),
      );
    } catch (error) {
      answer.replaceChildren(el("span", { class: "fault" }, error.message));
    }
  }

  const offers = others(index, hit, hits).map((other) => {
    const chosen = () => {
      for (const each of offers) each.setAttribute("aria-pressed", String(each === button));
      ask({ id: other.id }, other.name);
    };
    const label = ["pair.with", { name: other.name }];
    const button = el(
      "button",
      { type: "button", class: "pair-offer", label, title: label, "aria-pressed": "false", onclick: chosen },
      smallPicture(other, 160),
    );
    return button;
  });
  const strip = el("div", { class: "pair-offers", role: "group", label: "pair.pictures" }, offers);
  const form = el(
    "form",
    { class: "with-button" },
    sentence,
    el("button", { type: "submit", class: "button", words: "pair.ask" }),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = sentence.value.trim();
    if (text) ask({ text }, text);
  });
  const note = el("p", { class: "quiet", words: "pair.note" });
  return el("div", { class: "panel-stack" }, offers.length > 0 && strip, reads && form, answer, note);
}
