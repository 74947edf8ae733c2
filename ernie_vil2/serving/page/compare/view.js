/** The compare view: one query asked of two indexes, side by side, and how far their answers agree. */

import { el, emit, icon, iconButton, later } from "../core/dom.js";
import { on, set, state } from "../core/state.js";
import { partOf } from "../core/uploads.js";
import { quote, say } from "../core/words.js";
import { agreement, ranks } from "./agreement.js";
import { ask, describes, fits } from "./query.js";
import { compareSide } from "./side.js";
import { smallPicture } from "../viewer/thumbnail.js";

const SHOWN = 40;
const AGREED = 10;
const TYPING = 200;
const SLOW = 400;

/** @param {HTMLElement} root */
export function mount(root, { announce }) {
  let asking = new AbortController();
  let other = null;
  let seen = false;

  const text = el("input", {
    type: "search",
    class: "compare-text",
    label: "compare.query",
    placeholder: "compare.example",
    enterkeyhint: "search",
  });
  const parts = el("div", { class: "word-chips" });
  const files = el("input", { type: "file", accept: "image/*", hidden: true });
  const picture = iconButton("picture", "compare.picture", () => files.click());
  const sentence = el("p", { class: "compare-sentence", role: "status" });
  const sides = [
    compareSide("compare.left", (name) => set({ index: name })),
    compareSide("compare.right", (name) => ((other = name), run())),
  ];
  const form = el(
    "form",
    { class: "compare-form", role: "search" },
    el("div", { class: "with-button" }, text, picture, files),
    parts,
  );
  say(root, "aria-label", "view.compare");
  root.append(
    el("h1", { words: "view.compare" }),
    form,
    sentence,
    el(
      "div",
      { class: "compare-sides" },
      sides.map((side) => side.node),
    ),
  );

  const typed = later(() => set({ draft: text.value }, { replace: true }), TYPING);
  text.addEventListener("input", (event) => event.isComposing || typed());
  text.addEventListener("compositionend", typed);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    typed.cancel();
    set({ draft: text.value });
  });
  files.addEventListener("change", () => {
    set({ parts: [...state.parts, partOf(files.files[0])] });
    files.value = "";
  });
  on(
    ["draft", "minus", "parts", "filter", "index", "indexes"],
    (now, changed) => seen && (changed.join() === "indexes" ? offer() : run()),
  );

  /** The second index: the chosen one, else one of another model, else any other. */
  function second() {
    const able = state.indexes.filter(({ name }) => name !== state.index);
    const here = state.indexes.find(({ name }) => name === state.index);
    return able.find(({ name }) => name === other) ?? able.find((index) => fits(index, here)) ?? able[0];
  }

  function offer() {
    sides[0].offer(state.indexes, state.index);
    sides[1].offer(
      state.indexes.filter(({ name }) => name !== state.index),
      second()?.name,
    );
  }

  async function run() {
    asking.abort();
    asking = new AbortController();
    const { signal } = asking;
    offer();
    if (document.activeElement !== text) text.value = state.draft;
    parts.replaceChildren(...state.parts.map(chip), ...(state.filter ? [filter()] : []));
    const names = [state.index, second()?.name];
    if (!names[1]) return tell("compare.one_index");
    if (!describes(state)) {
      for (const side of sides) side.clear();
      return tell("compare.empty");
    }
    for (const side of sides) side.wait();
    const patience = setTimeout(() => signal.aborted || tell("viewer.wait"), SLOW);
    const answers = await Promise.all(
      names.map((name) => ask(name, state, SHOWN, signal).catch((error) => ({ error }))),
    );
    clearTimeout(patience);
    if (!signal.aborted) show(names, answers);
  }

  function show(names, answers) {
    const [left, right] = answers.map(({ hits }) => hits);
    sides[0].show(names[0], answers[0], right && ranks(right), SHOWN);
    sides[1].show(names[1], answers[1], left && ranks(left), SHOWN);
    if (!left || !right) return tell("compare.half");
    const { both, of } = agreement(left, right, AGREED);
    if (!of) return tell("compare.nothing");
    tell(both === of ? "compare.agree_all" : both ? "compare.agree" : "compare.agree_none", { both, of, count: both });
  }

  function tell(words, values = {}) {
    say(sentence, "text", words, values);
    announce(sentence.textContent);
  }

  function chip(part) {
    const name = part.text ?? part.name;
    const label = el("span");
    quote(label, `${part.minus ? "− " : ""}${name}${part.weight === 1 ? "" : ` × ${part.weight}`}`);
    const gone = () => set({ parts: state.parts.filter((each) => each !== part) });
    return el(
      "span",
      { class: part.minus ? "query-chip minus" : "query-chip" },
      "text" in part ? null : smallPicture(part, 160),
      label,
      iconButton("close", ["compare.remove", { name }], gone),
    );
  }

  function filter() {
    const label = el("span");
    label.textContent = state.filter;
    return el(
      "span",
      { class: "query-chip" },
      icon("filter"),
      label,
      iconButton("close", ["compare.remove", { name: state.filter }], () => set({ filter: "" })),
    );
  }

  emit("compare-ready");
  return {
    shown: () => ((seen = true), run()),
    hidden: () => ((seen = false), asking.abort()),
  };
}
