/** Beside the picture: what can be done with it, what is known of it, and what its index can say of it. */

import { el, emit, icon } from "../core/dom.js";
import { on, state } from "../core/state.js";
import { number, quote, say } from "../core/words.js";
import { choose, isSelected } from "../selection/chosen.js";
import { labelForm } from "./labels.js";
import { fileName } from "./film.js";
import { facts, meaning } from "./facts.js";
import { nearestTexts, ownTexts } from "./texts.js";
import { similarityForm } from "./similarity.js";

const open = new Set(); // sections that the person opened stay open from picture to picture

function partOf({ hit, index }) {
  return "upload" in hit ? { upload: hit.upload, name: hit.name, preview: hit.preview } : { id: hit.id, index };
}

function action(name, key, run) {
  return el(
    "button",
    { type: "button", data: { key }, title: `viewer.${name}`, onclick: run },
    icon(name),
    el("span", { words: `viewer.${name}` }),
  );
}

function link(name, address, props) {
  return el(
    "a",
    { class: "button", href: address, title: `viewer.${name}`, ...props },
    icon(name),
    el("span", { words: `viewer.${name}` }),
  );
}

/**
 * @param {{hit: Object, index: string, signal: AbortSignal, leave: function(): void}} subject
 * @returns {HTMLElement[]} buttons, with the key of each in its dataset
 */
export function actions(subject) {
  const { hit, index, leave } = subject;
  const then = (name, detail) => () => (leave(), emit(name, detail));
  if ("upload" in hit) {
    const parts = [{ ...partOf(subject), weight: 1, minus: false }];
    return [action("like", "m", then("search-by", { parts }))];
  }
  return [
    action("like", "m", then("like", { hit, index })),
    action("unlike", "n", then("minus", { hit, index })),
    selecting(subject),
    hit.original && !hit.missing && link("open", hit.original, { target: "_blank", rel: "noopener" }),
    hit.original && !hit.missing && link("download", hit.original, { download: fileName(hit) }),
  ].filter(Boolean);
}

function selecting({ hit, index, signal }) {
  const button = el("button", { type: "button", data: { key: "x" } }, icon("check"), el("span"));
  const show = () => {
    const chosen = isSelected(index, hit.id);
    button.setAttribute("aria-pressed", String(chosen));
    say(button.lastChild, "text", chosen ? "viewer.selected" : "viewer.select");
    say(button, "title", chosen ? "viewer.leave" : "viewer.select");
  };
  button.addEventListener("click", () => choose(index, [hit], !isSelected(index, hit.id)));
  signal.addEventListener("abort", on(["selected"], show));
  show();
  return button;
}

/**
 * @param {{hit: Object, hits: Object[], index: string, signal: AbortSignal}} subject
 * @returns {{sections: HTMLElement[], know: function(Object): void}} the panel, and what tells it all of the picture:
 *   that leaves alone what the person has begun to type
 */
export function panel(subject) {
  const { hit, hits, index } = subject;
  const record = state.indexes.find((each) => each.name === index);
  const part = partOf(subject);
  const known = el("div", { class: "viewer-known" });
  const know = (whole) => known.replaceChildren(...[...ownTexts(whole), facts(whole)].flat().filter(Boolean));
  know(hit);
  const sections = [
    typeof hit.score === "number" && score(hit.score, record),
    known,
    record?.has_texts && section("near", () => texts(subject, part)),
    record?.can_encode && section("labels", () => labelForm(index, part)),
    section("compare", () => similarityForm(index, part, hit, hits, Boolean(record?.can_encode))),
  ];
  return { sections: sections.filter(Boolean), know };
}

function score(value, record) {
  const figure = el(
    "strong",
    { class: "number" },
    number(value, { minimumFractionDigits: 3, maximumFractionDigits: 3 }),
  );
  return el(
    "p",
    { class: "viewer-score" },
    figure,
    " ",
    el("span", { class: "quiet", words: meaning(value, record?.thresholds) }),
  );
}

/** A part of the panel that is filled when it is opened first. */
function section(name, fill) {
  const body = el("div", { class: "section-body" });
  const whole = el(
    "details",
    { class: "section", open: open.has(name) },
    el("summary", { words: `viewer.${name}` }),
    body,
  );
  const filled = () => body.childElementCount || body.append(fill());
  whole.addEventListener("toggle", () => {
    open[whole.open ? "add" : "delete"](name);
    if (whole.open) filled();
  });
  if (whole.open) filled();
  return whole;
}

function texts({ index, signal }, part) {
  const body = el("div", { role: "status" }, el("p", { class: "quiet", words: "viewer.wait" }));
  nearestTexts(index, part, signal).then(
    (found) => body.replaceChildren(found),
    (error) => {
      if (error.name === "AbortError") return;
      const told = el("p", { class: "fault" });
      quote(told, error.message);
      body.replaceChildren(told);
    },
  );
  return body;
}
