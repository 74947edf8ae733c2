/** A picture of the grid: itself, and over it what is known and what can be done. */

import { el, emit, icon, iconButton } from "../core/dom.js";
import { state } from "../core/state.js";
import { languageOf, number } from "../core/words.js";
import { ratioOf } from "./rows.js";

const DIGITS = { minimumFractionDigits: 2, maximumFractionDigits: 2 };

/** A score as it is shown. */
export function score(value) {
  return number(value, DIGITS);
}

/** Seconds as m:ss or h:mm:ss. */
export function clock(seconds) {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const shown = parts[0] ? parts : parts.slice(1);
  return shown.map((part, at) => (at ? String(part).padStart(2, "0") : part)).join(":");
}

/**
 * @param {Object} hit
 * @param {number} position in what was found
 * @param {{open: function(number): void, activate: function(number): void}} grid
 * @returns {HTMLElement} a gridcell
 */
export function card(hit, position, grid) {
  const scored = hit.score !== null;
  const name = scored ? ["card.scored", { name: hit.name, score: () => score(hit.score) }] : ["card.plain", { name: hit.name }];
  const cell = el(
    "div",
    {
      class: "card",
      role: "gridcell",
      tabindex: -1,
      label: name,
      "aria-description": hit.caption || null,
      data: { id: hit.id, key: `${state.index}/${hit.id}` },
      css: { "--ratio": ratioOf(hit) },
      onclick: (event) => {
        if (event.target.closest("button, label")) return;
        grid.activate(position);
        grid.open(position);
      },
    },
    picture(hit),
    hit.video && hit.time !== null ? el("span", { class: "card-time number" }, icon("play"), clock(hit.time)) : null,
    tools(hit),
    foot(hit, scored),
  );
  markSelected([cell]);
  return cell;
}

function picture(hit) {
  const frame = el("div", { class: "card-picture" });
  const lost = () => {
    frame.classList.add("card-lost");
    frame.replaceChildren(icon("picture"), el("span", { lang: languageOf(hit.name) }, hit.name));
  };
  if (!hit.thumbnail) {
    lost();
    return frame;
  }
  const sized = (size) => `${hit.thumbnail.replace(/[?&]size=\d+/, "")}${/\?(?!size)/.test(hit.thumbnail) ? "&" : "?"}size=${size}`;
  const image = el("img", { src: sized(320), srcset: `${sized(320)} 1x, ${sized(640)} 2x`, loading: "lazy", decoding: "async" });
  image.alt = hit.caption || hit.name;
  image.lang = languageOf(image.alt);
  image.draggable = false;
  image.addEventListener("error", lost);
  frame.append(image);
  return frame;
}

function tools(hit) {
  const told = { name: hit.name };
  const detail = () => ({ hit, index: state.index });
  const box = el("input", { type: "checkbox", tabindex: -1, data: { act: "select" }, label: ["card.select", told] });
  box.addEventListener("change", () => emit("select-picture", { ...detail(), on: box.checked }));
  return el(
    "div",
    { class: "card-tools" },
    el("label", { class: "card-check", title: "card.select_title" }, box),
    iconButton("like", ["card.like", told], () => emit("like", detail()), { tabindex: -1, title: "card.like_title", data: { act: "like" } }),
    iconButton("unlike", ["card.unlike", told], () => emit("minus", detail()), { tabindex: -1, title: "card.unlike_title", data: { act: "minus" } }),
  );
}

function foot(hit, scored) {
  const said = hit.caption || hit.name;
  return el(
    "div",
    { class: scored || hit.caption ? "card-foot" : "card-foot card-foot-name", "aria-hidden": "true" },
    el("span", { class: hit.caption ? "card-said" : "card-said card-name", lang: languageOf(said) }, said),
    scored ? el("span", { class: "card-score number" }, score(hit.score)) : null,
  );
}

/** Show on cells whether they are selected. */
export function markSelected(cells) {
  for (const cell of cells) {
    const on = state.selected.has(cell.dataset.key);
    cell.classList.toggle("selected", on);
    cell.ariaSelected = String(on);
    cell.querySelector("[data-act=select]").checked = on;
  }
}
