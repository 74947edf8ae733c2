/** The parts of a query as chips: words, pictures of the index, pictures that were given; each with its weight. */

import { el, icon, iconButton } from "../core/dom.js";
import { set, state } from "../core/state.js";
import { languageOf, number } from "../core/words.js";

const STEPS = [0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10];

/** Put a part behind the others; one that is there already is not added again. */
export function addPart(part) {
  const same = (other) => ["text", "id", "upload"].every((key) => other[key] === part[key]) && other.index === part.index;
  set({ parts: [...state.parts.filter((other) => !same(other)), part] });
}

/** A picture of the index as a part. */
export function partOfHit(hit, index, minus = false) {
  return { id: hit.id, index, name: hit.name, thumbnail: hit.thumbnail, weight: 1, minus };
}

function change(at, changes) {
  set({ parts: state.parts.map((part, place) => (place === at ? { ...part, ...changes } : part)) });
}

function weigh(at, direction) {
  const { weight } = state.parts[at];
  const near = STEPS.findIndex((step) => step >= weight - 1e-9);
  change(at, { weight: STEPS[Math.min(Math.max(near + direction, 0), STEPS.length - 1)] });
}

/** The chips of state.parts, one list item each. */
export function chips() {
  return state.parts.map((part, at) => {
    const name = part.text ?? part.name;
    const told = { name };
    const shown = "text" in part ? el("span", { class: "chip-text", lang: languageOf(name) }, part.text) : thumbnail(part);
    const turn = el(
      "button",
      {
        type: "button",
        class: "chip-turn",
        label: part.minus ? ["part.plus", told] : ["part.minus", told],
        title: part.minus ? "part.plus_title" : "part.minus_title",
        onclick: () => change(at, { minus: !part.minus }),
      },
      part.minus ? el("span", { words: "part.not" }) : null,
      shown,
    );
    return el(
      "li",
      { class: part.minus ? "chip chip-minus" : "chip", label: [part.minus ? "part.named_minus" : "part.named", told] },
      turn,
      iconButton("minus", ["part.less", told], () => weigh(at, -1), { title: "part.less_title", disabled: part.weight <= STEPS[0] }),
      el("span", { class: "chip-weight number", title: "part.weight" }, part.weight === 1 ? "" : `×${number(part.weight)}`),
      iconButton("plus", ["part.more", told], () => weigh(at, 1), { title: "part.more_title", disabled: part.weight >= STEPS.at(-1) }),
      iconButton("close", ["part.remove", told], () => set({ parts: state.parts.filter((_, place) => place !== at) }), {
        title: "part.remove_title",
      }),
    );
  });
}

function thumbnail(part) {
  if (part.thumbnail === null) return icon("picture");
  const source = part.preview ?? `/api/indexes/${encodeURIComponent(part.index)}/pictures/${part.id}/thumbnail?size=160`;
  const image = el("img", { src: source, class: "chip-picture" });
  image.alt = part.name ?? "";
  image.addEventListener("error", () => image.replaceWith(icon("picture")));
  return image;
}
