/** The one box in which everything is asked: words that are typed, and chips for the other parts of the query. */

import { el, icon, iconButton, later } from "../core/dom.js";
import { currentIndex, on, set, state } from "../core/state.js";
import { say } from "../core/words.js";
import { pictureChooser } from "./drop.js";
import { addPart, chips } from "./parts.js";

const PAUSE = 170;
const NARROW = "(max-width: 760px)";

/**
 * @param {HTMLElement} root
 * @returns {{focus: function(): void, clear: function(): boolean}} clear says whether there was something
 */
export function mountSearchBox(root) {
  const field = el("input", { type: "search", id: "query", label: "search" });
  for (const [name, value] of Object.entries({ autocomplete: "off", enterkeyhint: "search", spellcheck: "false" })) field.setAttribute(name, value);
  const list = el("ul", { class: "chips", role: "list", label: "box.query" });
  const sign = el("span", { class: "box-minus", words: "part.not", hidden: true });
  const add = boxButton("plus", "box.add", "box.add_title", () => commit(false));
  const without = boxButton("minus", "box.without", "box.without_title", () => commit(true));
  const clear = iconButton("close", "box.clear", () => empty());
  const note = el("p", { class: "box-note quiet small", hidden: true });
  let typing = false;
  let known = state.draft; // what the box and the state last agreed on: what is typed since then is nobody else's to change

  const take = () => {
    slow.cancel();
    if (field.value === state.draft) return;
    known = field.value;
    set({ draft: known }, { replace: typing });
    typing = true;
  };
  const slow = later(take, PAUSE);

  /** Make what is typed a chip, and go on with the next part. */
  const commit = (minus) => {
    slow.cancel();
    const text = field.value.trim();
    field.value = known = "";
    const part = text && { text, weight: 1, minus: state.minus };
    set({ draft: "", minus, ...(part ? { parts: [...state.parts, part] } : {}) });
    typing = false;
    field.focus();
  };
  const empty = () => {
    slow.cancel();
    const something = Boolean(field.value || state.parts.length || state.minus);
    field.value = known = "";
    set({ draft: "", minus: false, parts: [], threshold: null });
    typing = false;
    return something;
  };

  field.addEventListener("input", (event) => event.isComposing || slow());
  field.addEventListener("compositionend", () => slow());
  field.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return; // the Enter that chooses a Chinese word is none
    if (event.key === "Enter" && state.minus && field.value.trim()) commit(false);
    else if (event.key === "Enter") {
      take();
      typing = false;
    } else if (event.key === "Backspace" && !field.value && state.minus) set({ minus: false });
    else if (event.key === "Backspace" && !field.value && state.parts.length) set({ parts: state.parts.slice(0, -1) });
  });

  const show = () => {
    if (state.draft !== known) field.value = known = state.draft;
    const index = currentIndex();
    const speechless = Boolean(index && index.state === "ready" && !index.can_encode);
    list.replaceChildren(...chips());
    list.hidden = !state.parts.length;
    sign.hidden = !state.minus;
    clear.hidden = !(state.draft || state.parts.length || state.minus);
    field.disabled = speechless;
    say(field, "placeholder", state.parts.length || state.minus ? "box.next" : matchMedia(NARROW).matches ? "box.placeholder_short" : "box.placeholder");
    note.hidden = !speechless;
    if (speechless) say(note, "text", "box.speechless");
    for (const button of [add, without]) button.hidden = speechless || !(state.draft || state.parts.length);
  };
  on(["draft", "minus", "parts", "index", "indexes"], show);
  on(["parts", "index"], () => (typing = false));

  const further = el("div", { class: "box-parts" }, add, without);
  const line = el("div", { class: "box-line" }, icon("search"), sign, field, further, clear, pictureChooser());
  line.addEventListener("click", ({ target }) => target === line && field.focus());
  const form = el("form", { class: "box", role: "search", onsubmit: (event) => event.preventDefault() }, list, line);
  root.append(form, note);
  field.value = known;
  show();
  return { focus: () => (field.focus(), field.select()), clear: empty, add: addPart };
}

function boxButton(drawing, words, title, onclick) {
  return el("button", { type: "button", class: "box-part", title, onclick }, icon(drawing), el("span", { words }));
}
