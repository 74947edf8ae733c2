/** The view that the page begins with: the box, what narrows, and the pictures. */

import { el, iconButton } from "../core/dom.js";
import { currentIndex, on, set, state } from "../core/state.js";
import { startDrop } from "./drop.js";
import { mountExamples } from "./examples.js";
import { FilterPanel, filterButton, filterChips } from "./filters.js";
import { mountHelp, startKeyboard } from "./keyboard.js";
import { mountKinds } from "./kinds.js";
import { addPart, partOfHit } from "./parts.js";
import { answer, ask, renew, startQuery } from "./query.js";
import { Results } from "./results.js";
import { mountSearchBox } from "./search_box.js";
import { mountThreshold } from "./threshold.js";

/**
 * @param {HTMLElement} root
 * @param {{announce: function(string): void}} context
 */
export function mount(root, context) {
  const [top, examples, kinds, threshold] = ["search-top", "examples", "kinds", "threshold"].map((name) => el("div", { class: name }));
  const chips = el("ul", { class: "chips filter-chips", role: "list", label: "filters.active" });
  const help = mountHelp();
  const body = el("div", { class: "search-body" });
  const panel = new FilterPanel(body);
  const keys = iconButton("keyboard", "keys", () => help.showModal(), { class: "keys-button" });
  const heading = el("h1", { class: "spoken", words: "view.search" });
  root.append(heading, top, examples, el("div", { class: "tools" }, kinds, filterButton(panel), chips, threshold, keys), body);

  const box = mountSearchBox(top);
  mountExamples(examples);
  mountKinds(kinds);
  filterChips(chips);
  mountThreshold(threshold);
  const results = new Results(body, context);
  startDrop();
  startKeyboard(root, { box, grid: results.grid, help });
  listen();
  startQuery();
  new ResizeObserver(() => root.style.setProperty("--search-top", `${top.offsetHeight}px`)).observe(top);
  ask();
  let begins = matchMedia("(hover: hover)").matches; // what is hidden takes no focus
  const shown = () => {
    scrollTo({ top: answer.scroll });
    if (begins) box.focus();
    begins = false;
  };
  return { shown, hidden: () => (answer.scroll = scrollY) };
}

function listen() {
  document.addEventListener("like", ({ detail: { hit, index } }) => {
    set({ view: "search", draft: "", minus: false, threshold: null, of: "images", parts: [partOfHit(hit, index)] });
    scrollTo({ top: 0 });
  });
  document.addEventListener("minus", ({ detail: { hit, index } }) => {
    set({ view: "search" });
    addPart(partOfHit(hit, index, true));
  });
  let known = [state.index, currentIndex()?.sequence];
  on(["indexes", "index"], () => {
    const index = currentIndex();
    if (index && known[0] === index.name && known[1] !== undefined && known[1] !== index.sequence) renew(index.sequence);
    known = [state.index, index?.sequence];
  });
}
