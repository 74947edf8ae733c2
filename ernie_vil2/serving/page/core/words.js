/** Every sentence of the page, in the language that the person chose; what is on the page follows a change at once. */

import { keep, kept } from "./kept.js";

const FILES = ["words", "views"];
const LANGUAGES = ["en", "zh"];
const KEPT = "language";
const spoken = new WeakMap();
const tables = {};
let chosen = "en";

/** The language to begin with: the one chosen before, else the browser's. */
export function firstLanguage() {
  const before = kept(KEPT);
  if (LANGUAGES.includes(before)) return before;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

/** The tag of the page's language, for `lang`, Accept-Language and numbers. */
export function languageTag() {
  return chosen === "zh" ? "zh-Hans" : "en";
}

/**
 * Show the page in `language`, "zh" or "en", and remember it.
 *
 * @returns {Promise<void>} when its words are there and in place
 */
export async function setLanguage(language) {
  tables[language] ??= Object.assign({}, ...(await Promise.all(FILES.map((name) => read(name, language)))));
  chosen = language;
  keep(KEPT, language);
  document.documentElement.lang = languageTag();
  for (const node of document.querySelectorAll("[data-said]")) {
    for (const [slot, [key, values]] of spoken.get(node) ?? []) put(node, slot, t(key, values));
  }
}

async function read(name, language) {
  const answer = await fetch(`/static/words/${name}_${language}.json`);
  return answer.ok ? answer.json() : {};
}

/**
 * The sentence of a key with its {values} filled in. Numbers are written as the language does; a value that is a function
 * is asked; a table {one, other} is chosen from by `values.count`.
 */
export function t(key, values = {}) {
  let text = tables[chosen]?.[key];
  if (text === undefined) return key;
  if (typeof text === "object") {
    text = text[new Intl.PluralRules(languageTag()).select(values.count)] ?? text.other;
  }
  return text.replace(/\{(\w+)\}/g, (hole, name) => (name in values ? shown(values[name]) : hole));
}

function shown(value) {
  if (typeof value === "function") return shown(value());
  return typeof value === "number" ? number(value) : String(value);
}

/** Write the words of a key into a slot of a node, "text" or an attribute, and again whenever the language changes. */
export function say(node, slot, key, values) {
  const slots = spoken.get(node) ?? new Map();
  spoken.set(node, slots.set(slot, [key, values]));
  node.dataset.said = "";
  put(node, slot, t(key, values));
}

function put(node, slot, text) {
  if (slot === "text") node.textContent = text;
  else node.setAttribute(slot, text);
}

/** Words that the page did not write (a caption, a sentence of the server) in a slot that `say` had. */
export function quote(node, text) {
  spoken.get(node)?.delete("text");
  node.textContent = text;
  node.lang = languageOf(text);
}

/** A sentence of the server as one stands by itself: with a capital letter and an end. */
export function sentence(text) {
  const ended = /[.!?。！？]$/.test(text) ? text : `${text}${languageOf(text) === "en" ? "." : "。"}`;
  return ended.charAt(0).toUpperCase() + ended.slice(1);
}

/** The tag of the language of a text that somebody wrote: with a Chinese character it is Chinese. */
export function languageOf(text) {
  return /\p{Script=Han}/u.test(text) ? "zh-Hans" : "en";
}

/** A number as the page's language writes it. */
export function number(value, options) {
  return new Intl.NumberFormat(languageTag(), options).format(value);
}

/** A date without a zone, "2021-05-03T18:30:00", as the page's language writes a day. */
export function day(iso, style = "medium") {
  return new Intl.DateTimeFormat(languageTag(), { dateStyle: style }).format(new Date(iso));
}

/** Bytes in the unit that fits. */
export function bytes(count) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
  const step = Math.min(Math.floor(Math.log10(Math.max(count, 1)) / 3), units.length - 1);
  const digits = count / 1000 ** step < 10 && step ? 1 : 0;
  return number(count / 1000 ** step, { style: "unit", unit: units[step], maximumFractionDigits: digits });
}
