/** Labels: which of a person's own words fit a picture best, as bars of probabilities beside the cosines. */

import { place, post } from "../core/api.js";
import { el } from "../core/dom.js";
import { keep, kept } from "../core/kept.js";
import { asked } from "../core/uploads.js";
import { number, quote, say } from "../core/words.js";

const KEPT = "labels";
const LISTS = 5;
const FEWEST = 2;
const MOST = 200;

/** Labels as they are typed: one a line, or divided by commas of either script; each once. */
export function labelsOf(typed) {
  const labels = typed.split(/[\n,，、;；]+/).map((label) => label.trim());
  return [...new Set(labels.filter(Boolean))];
}

/** @returns {string[][]} the last lists that were asked for, newest first */
export function keptLists() {
  try {
    const lists = JSON.parse(kept(KEPT) ?? "[]");
    return lists.filter((list) => Array.isArray(list) && list.length);
  } catch {
    return [];
  }
}

function keepList(labels) {
  const others = keptLists().filter((list) => list.join() !== labels.join());
  keep(KEPT, JSON.stringify([labels, ...others].slice(0, LISTS)));
}

/** What is wrong with what was typed, as a key of words and its values; null when nothing is. */
function faultOf(labels, template) {
  if (labels.length < FEWEST) return ["labels.too_few", { fewest: FEWEST }];
  if (labels.length > MOST) return ["labels.too_many", { most: MOST, given: labels.length }];
  return template && template.split("{}").length !== 2 ? ["labels.bad_template", {}] : null;
}

function bars(labels) {
  const rows = labels.map(({ label, score, probability }, position) => {
    const name = el("span", { class: "label-name" });
    quote(name, label);
    const cosine = number(score, { minimumFractionDigits: 3, maximumFractionDigits: 3 });
    return el(
      "li",
      { class: position ? "label-row" : "label-row best" },
      name,
      el(
        "span",
        { class: "number" },
        number(probability, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 }),
      ),
      el(
        "span",
        { class: "label-bar", "aria-hidden": "true" },
        el("span", { class: "label-bar-fill", css: { width: `${probability * 100}%` } }),
      ),
      el("span", { class: "quiet number", words: ["labels.cosine", { cosine }] }),
    );
  });
  return [
    el("ol", { class: "label-bars", label: "labels.answer" }, rows),
    el("p", { class: "quiet", words: "labels.note" }),
  ];
}

/**
 * @param {string} index
 * @param {Object} part the picture as a part of a query
 * @returns {HTMLElement} a form and, once it was sent, its answer
 */
export function labelForm(index, part) {
  const typed = el("textarea", { rows: 3, class: "wide", placeholder: "labels.example", label: "labels.labels" });
  const template = el("input", {
    type: "text",
    class: "wide",
    placeholder: "labels.template_example",
    label: "labels.template",
  });
  const answer = el("div", { role: "status" });
  const lists = el("div", { class: "word-chips", role: "group", label: "labels.last" });
  const send = el("button", { type: "submit", class: "button primary", words: "labels.ask" });

  function offer() {
    const chips = keptLists().map((list) => {
      const chip = el("button", {
        type: "button",
        class: "word-chip",
        onclick: () => ((typed.value = list.join("\n")), ask()),
      });
      quote(chip, list.join(", "));
      return chip;
    });
    lists.replaceChildren(...chips);
    lists.hidden = !chips.length;
  }

  function fault(message) {
    answer.replaceChildren(el("p", { class: "fault" }, message));
  }

  async function ask() {
    const labels = labelsOf(typed.value);
    const sentence = template.value.trim();
    const wrong = faultOf(labels, sentence);
    if (wrong) {
      fault("");
      say(answer.firstChild, "text", ...wrong);
      return;
    }
    send.disabled = true;
    try {
      const given = { labels, ...(sentence ? { template: sentence } : {}) };
      const found = await asked(index, [part], ([image]) => post(place(index, "labels"), { image, ...given }));
      answer.replaceChildren(...bars(found.labels));
      keepList(labels);
      offer();
    } catch (error) {
      fault(error.message);
    } finally {
      send.disabled = false;
    }
  }

  offer();
  const form = el("form", { class: "panel-stack" }, typed, template, send, lists, answer);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  return form;
}
