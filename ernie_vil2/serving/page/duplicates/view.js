/** The duplicates view: pictures of the index that are nearly one, in groups, the one to keep first. */

import { get, place } from "../core/api.js";
import { el, later } from "../core/dom.js";
import { on, state } from "../core/state.js";
import { bytes, number, quote, say, t } from "../core/words.js";
import { duplicateGroup } from "./group.js";
import { select } from "../selection/tray.js";

const RANGE = { least: 0.8, most: 1, step: 0.005, first: 0.97 };
const MOVING = 300;
const ASKED_EVERY = 700;

/** @param {HTMLElement} root */
export function mount(root, { announce }) {
  let asking = new AbortController();
  let seen = false;
  let page = 1;
  let groups = [];

  const slider = el("input", {
    type: "range",
    id: "duplicates-from",
    min: RANGE.least,
    max: RANGE.most,
    step: RANGE.step,
  });
  slider.value = RANGE.first;
  const figure = el("output", { class: "number", for: "duplicates-from" });
  const means = el("p", { class: "quiet small" });
  const control = el(
    "div",
    { class: "duplicates-control" },
    el("label", { for: "duplicates-from", words: "duplicates.from" }),
    slider,
    figure,
  );
  const told = el("p", { class: "duplicates-told", role: "status" });
  const bar = el("progress", { max: 1, hidden: true, label: "duplicates.searching" });
  const again = el("button", { type: "button", words: "duplicates.again", hidden: true, onclick: () => run() });
  const most = el("button", {
    type: "button",
    class: "primary",
    words: "duplicates.select_page",
    hidden: true,
    onclick: selectPage,
  });
  const list = el("ol", { class: "duplicate-groups", label: "view.duplicates" });
  const more = el("button", { type: "button", words: "duplicates.more", hidden: true, onclick: () => run(page + 1) });
  const head = el("div", { class: "duplicates-head" }, told, bar, again, most);
  root.append(el("h1", { words: "view.duplicates" }), el("div", {}, control, means), head, list, more);

  slider.addEventListener("input", () => (draw(), moved()));
  const moved = later(() => run(), MOVING);
  on(["index"], () => seen && run());

  function draw() {
    const from = Number(slider.value);
    figure.textContent = number(from, { minimumFractionDigits: 3 });
    say(
      means,
      "text",
      from >= RANGE.most
        ? "duplicates.means_exact"
        : from >= RANGE.first
          ? "duplicates.means_near"
          : "duplicates.means_alike",
    );
    slider.setAttribute("aria-valuetext", `${figure.textContent}: ${means.textContent}`);
  }

  async function run(wanted = 1) {
    asking.abort();
    asking = new AbortController();
    const { signal } = asking;
    draw();
    if (wanted === 1) {
      groups = [];
      list.replaceChildren();
      most.hidden = true;
    }
    for (const part of [again, more]) part.hidden = true;
    told.classList.remove("fault");
    try {
      const answer = await whenReady(
        place(state.index, "duplicates"),
        { threshold: slider.value, page: wanted },
        signal,
      );
      page = wanted;
      show(answer);
    } catch (error) {
      if (error.name === "AbortError") return;
      told.classList.add("fault");
      quote(told, error.message);
      again.hidden = false;
    } finally {
      if (!signal.aborted) bar.hidden = true;
    }
  }

  /** The answer, asked for again until the server's work is done; how far it is is shown meanwhile. */
  async function whenReady(path, query, signal) {
    for (;;) {
      const answer = await get(path, { query, signal });
      if (answer.state !== "running") return answer;
      bar.hidden = false;
      bar.value = answer.done;
      say(told, "text", "duplicates.running", { percent: () => number(answer.done, { style: "percent" }) });
      await pause(ASKED_EVERY, signal);
    }
  }

  function show({ groups: added, total, bytes: size }) {
    const { index } = state;
    list.append(...added.map((group, position) => duplicateGroup(index, group, groups.length + position + 1)));
    groups = [...groups, ...added];
    say(told, "text", total ? "duplicates.found" : "duplicates.none", { count: total, size: () => bytes(size) });
    most.hidden = !groups.length;
    more.hidden = groups.length >= total || !added.length;
    announce(told.textContent);
  }

  function selectPage() {
    const spare = groups.flatMap(({ pictures }) => pictures.slice(1));
    select(state.index, spare, true);
    announce(t("duplicates.selected", { count: spare.length }));
  }

  return {
    shown: () => ((seen = true), run()),
    hidden: () => ((seen = false), asking.abort()),
  };
}

function pause(milliseconds, signal) {
  return new Promise((done, stopped) => {
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), stopped(new DOMException("stopped", "AbortError"))));
  });
}
