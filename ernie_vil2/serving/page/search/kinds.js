/** What is looked for: pictures, or the captions and tags of an index that has them. */

import { el } from "../core/dom.js";
import { currentIndex, on, set, state } from "../core/state.js";

const KINDS = ["images", "captions", "tags"];

/** @param {HTMLElement} root */
export function mountKinds(root) {
  const radios = KINDS.map((value) => el("input", { type: "radio", name: "of", value, onchange: () => set({ of: value, threshold: null }) }));
  const still = (event) => event.preventDefault(); // the box would lose the focus, shrink, and move this away from the finger
  const labels = radios.map((radio) => el("label", { onmousedown: still }, radio, el("span", { words: `of.${radio.value}` })));
  root.append(el("div", { class: "segments", role: "radiogroup", label: "of" }, ...labels));
  const show = () => {
    root.hidden = !currentIndex()?.has_texts;
    for (const radio of radios) radio.checked = radio.value === state.of;
  };
  on(["of", "index", "indexes"], show);
  show();
}
