/** One group of pictures that are nearly one: the one to keep first, exact copies marked, the rest quickly selected. */

import { el, emit } from "../core/dom.js";
import { on, state } from "../core/state.js";
import { bytes, number, quote } from "../core/words.js";
import { choose, isSelected } from "../selection/chosen.js";
import { select } from "../selection/tray.js";
import { smallPicture } from "../viewer/thumbnail.js";

/**
 * @param {string} index
 * @param {{pictures: Object[], scores: number[], exact: boolean[], count: number}} group the first is the one to
 *   keep; of a large group `count` is more than there are pictures
 * @param {number} place of the group, from 1
 * @returns {HTMLElement}
 */
export function duplicateGroup(index, { pictures, scores, exact, count }, place) {
  const spare = pictures.slice(1);
  const cards = pictures.map((hit, position) => card(index, pictures, position, scores[position], exact[position]));
  const all = el("button", {
    type: "button",
    class: "link",
    words: "duplicates.select_rest",
    onclick: () => select(index, spare, true),
  });
  const title = el("h2", {
    class: "small",
    words: [
      count > pictures.length ? "duplicates.group_cut" : "duplicates.group",
      { place, count, shown: pictures.length },
    ],
  });
  return el(
    "li",
    { class: "duplicate-group" },
    el("div", { class: "duplicate-head" }, title, all),
    el("ul", {}, cards),
  );
}

function card(index, hits, position, score, exact) {
  const hit = hits[position];
  const open = el(
    "button",
    {
      type: "button",
      class: "duplicate-picture",
      label: ["duplicates.open", { name: hit.name }],
      onclick: () => emit("open-picture", { hits, position, index }),
    },
    smallPicture(hit, 320),
  );
  const name = el("span", { class: "duplicate-name" });
  quote(name, hit.folder ? `${hit.folder}/${hit.name}` : hit.name);
  const size = [hit.width && `${hit.width} × ${hit.height}`, hit.size && bytes(hit.size)].filter(Boolean).join(" · ");
  const mark = position === 0 ? "duplicates.keep" : exact ? "duplicates.exact" : "duplicates.near";
  const figure = number(score ?? 1, { minimumFractionDigits: 3, maximumFractionDigits: 3 });
  return el(
    "li",
    { class: position ? "duplicate" : "duplicate kept" },
    open,
    el("span", { class: "duplicate-mark small", words: [mark, { score: figure }] }),
    name,
    el("span", { class: "quiet small number" }, size),
    check(index, hit),
  );
}

function check(index, hit) {
  const box = el("input", {
    type: "checkbox",
    checked: isSelected(index, hit.id),
    label: ["duplicates.select", { name: hit.name }],
  });
  box.addEventListener("change", () => choose(index, [hit], box.checked));
  const off = on(["selected"], () =>
    box.isConnected ? (box.checked = state.selected.has(`${index}/${hit.id}`)) : off(),
  );
  return el("label", { class: "duplicate-check" }, box);
}
