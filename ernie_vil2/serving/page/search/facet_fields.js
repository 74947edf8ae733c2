/** The single controls of the filters: each reads its term of the filter, and writes it when it is changed. */

import { el } from "../core/dom.js";
import { set, state } from "../core/state.js";
import { bytes, day, languageOf, number } from "../core/words.js";
import { find, replaced, termOf, valuesFor } from "./filter_terms.js";

const WIDTHS = [640, 1280, 1920, 3840];
const SIZES = { "100kB": 1e5, "1MB": 1e6, "5MB": 5e6, "20MB": 2e7 };

function write(field, term) {
  set({ filter: replaced(state.filter, field, term) });
}

/** A group with a heading. */
function group(words, ...children) {
  return el("fieldset", { class: "facet" }, el("legend", { words }), ...children);
}

/** Values of which one is enough, as boxes with the number of pictures; null where there are none. */
export function choices(field, words, facets) {
  const named = facets.filter(({ value }) => value !== "");
  if (!named.length) return null;
  const chosen = valuesFor(state.filter, field);
  const boxes = named.map(({ value, name = value, count }) => {
    const box = el("input", { type: "checkbox", checked: chosen.includes(value), value });
    return el("label", { class: "choice" }, box, el("span", { lang: languageOf(name) }, name), el("span", { class: "quiet number small" }, number(count)));
  });
  const list = el("div", { class: "choices", tabindex: named.length > 7 ? 0 : null, role: "group", label: words }, ...boxes);
  list.addEventListener("change", () => {
    const values = [...list.querySelectorAll("input:checked")].map((box) => box.value);
    write(field, values.length ? termOf(field, values) : "");
  });
  return group(words, list);
}

/** Pictures, moments of videos, or both; null where only one of them is there. */
export function kinds({ videos, pictures }) {
  if (!videos || !pictures) return null;
  const chosen = find(state.filter, "video") ? "video" : find(state.filter, "picture") ? "picture" : "";
  const radios = ["", "picture", "video"].map((value) => {
    const radio = el("input", { type: "radio", name: "kind", value, checked: value === chosen });
    return el("label", { class: "choice" }, radio, el("span", { words: `filters.kind.${value || "both"}` }));
  });
  const list = el("div", { class: "choices" }, ...radios);
  list.addEventListener("change", ({ target }) => {
    const other = replaced(replaced(state.filter, "video", ""), "picture", "");
    set({ filter: [other, target.value].filter(Boolean).join(" ") });
  });
  return group("filters.kind", list);
}

/** From one day to another; null where no picture has a date. */
export function dates(span) {
  if (!span) return null;
  const [from = "", to = ""] = (valuesFor(state.filter, "date")[0] ?? "").split("..");
  const field = (words, value) => el("label", { class: "dated" }, el("span", { class: "small quiet", words }), dateField(value, span));
  const list = el("div", { class: "dates" }, field("filters.from", from), field("filters.to", to));
  list.addEventListener("change", () => {
    const [first, last] = [...list.querySelectorAll("input")].map((input) => input.value);
    write("date", first || last ? `date:${first}..${last}` : "");
  });
  const known = { first: () => day(span.first), last: () => day(span.last) };
  return group("filters.dates", list, el("p", { class: "quiet small", words: ["filters.dates_known", known] }));
}

function dateField(value, { first, last }) {
  return el("input", { type: "date", value, min: first, max: last });
}

/** The least width in pixels; null where no picture is that wide. */
export function widths(widest) {
  const steps = WIDTHS.filter((width) => width <= widest);
  return least("width", "filters.width", steps.map((width) => [String(width), () => `${number(width)} px`]));
}

/** The least number of bytes. */
export function sizes() {
  return least("size", "filters.size", Object.entries(SIZES).map(([value, count]) => [value, () => bytes(count)]));
}

function least(field, words, options) {
  if (!options.length) return null;
  const term = find(state.filter, field);
  const chosen = term?.sign === ">=" ? term.values[0] : "";
  const known = options.some(([value]) => value === chosen) || !chosen ? options : [...options, [chosen, () => chosen]];
  const list = el(
    "select",
    { label: words, onchange: () => write(field, list.value ? termOf(field, [list.value], ">=") : "") },
    el("option", { value: "", words: "filters.any" }),
    ...known.map(([value, text]) => el("option", { value, words: ["filters.least", { value: text }] })),
  );
  list.value = chosen;
  return group(words, list);
}
