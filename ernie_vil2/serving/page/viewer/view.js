/** The viewer: one picture over the page, with what is known of it, and the way to the next. */

import { place, get } from "../core/api.js";
import { el, emit, iconButton, writes } from "../core/dom.js";
import { number, say, t } from "../core/words.js";
import { state } from "../core/state.js";
import { fileName, likeMoments } from "./film.js";
import { actions, panel } from "./panel.js";
import { stage } from "./stage.js";

/** @param {HTMLElement} root */
export function mount(root, { announce }) {
  let shown = null; // {index, hits, position, more, total: of all hits or null, opener, ended: nothing is left to load, reaching: a load that runs}
  let asking = new AbortController();

  const title = el("h2", { class: "viewer-title", id: "viewer-title" });
  const count = el("p", { class: "quiet small number", role: "status" });
  const side = el("div", { class: "viewer-side" });
  const bar = el("div", { class: "viewer-actions", role: "toolbar", label: "viewer.actions" });
  const view = stage({ turn });
  const before = iconButton("left", "viewer.previous", () => turn(-1), { class: "turn turn-back" });
  const after = iconButton("right", "viewer.next", () => turn(1), { class: "turn turn-on" });
  const zoom = iconButton("zoom", "viewer.zoom", () => (view.zoom.scale() > 1 ? view.zoom.reset() : view.zoom.by(2)), {
    class: "zoom",
  });
  const close = iconButton("close", "viewer.close", () => dialog.close(), { class: "viewer-close" });
  view.node.append(before, after, zoom);
  const head = el("div", { class: "viewer-head" }, title, count);
  const info = el("div", { class: "viewer-info" }, head, bar, side);
  const dialog = el(
    "dialog",
    { class: "viewer", "aria-labelledby": "viewer-title", tabindex: "-1" },
    close,
    view.node,
    info,
  );
  root.append(dialog);

  document.addEventListener("open-picture", ({ detail }) => open(detail));
  document.addEventListener("search-by", () => dialog.open && dialog.close());
  dialog.addEventListener("keydown", pressed);
  dialog.addEventListener("close", closed);

  function open({ hits, position, more, total = null, index = state.index }) {
    shown = { index, hits, position, more, total, opener: document.activeElement, ended: !more };
    if (!dialog.open) dialog.showModal();
    draw();
    dialog.focus(); // its name is read; no button is marked before a key is pressed
  }

  function closed() {
    asking.abort();
    view.clear();
    side.replaceChildren();
    const { hits, index, opener, position } = shown;
    if (opener?.isConnected) opener.focus();
    emit("picture-closed", { hit: hits[position], index, position });
    shown = null;
  }

  function draw() {
    asking.abort();
    asking = new AbortController();
    const { hits, index, position } = shown;
    const hit = hits[position];
    title.textContent = fileName(hit);
    count.hidden = hits.length < 2;
    before.disabled = position === 0;
    tell();
    zoom.hidden = Boolean(hit.video);
    const others = hit.video ? likeMoments(index, hit, asking.signal) : Promise.resolve([]);
    view.show(hit, hits, others);
    info.scrollTop = 0;
    const subject = { hit, hits, others, index, signal: asking.signal, leave: () => dialog.close() };
    show(subject);
    const { sections, know } = panel(subject);
    side.replaceChildren(...sections);
    if (!dialog.contains(document.activeElement)) dialog.focus(); // what had the focus is gone, and its keys with it
    if (hit.id !== undefined) ask(subject, know);
    if (position >= hits.length - 3) reach();
  }

  /** What can be done with the picture; the button that has the focus keeps it. */
  function show(subject) {
    const { key } = document.activeElement.dataset;
    bar.replaceChildren(...actions(subject));
    if (key) (bar.querySelector(`[data-key="${key}"]`) ?? dialog).focus();
  }

  /** Where among what was found the picture is. */
  function tell() {
    const { hits, position, ended, total } = shown;
    const of = () => (ended || total === null ? `${number(hits.length)}${ended ? "" : "+"}` : number(total));
    say(count, "text", "viewer.place", { place: position + 1, of });
    after.disabled = ended && position === hits.length - 1;
  }

  /** All that the index knows of the picture comes after what the hit says already. */
  async function ask(subject, know) {
    try {
      const whole = await get(place(subject.index, "pictures", subject.hit.id), { signal: subject.signal });
      const hit = { ...whole, score: subject.hit.score };
      know(hit);
      if (hit.missing === subject.hit.missing && hit.original === subject.hit.original) return;
      view.show(hit, subject.hits, subject.others);
      show({ ...subject, hit });
    } catch (error) {
      if (error.name !== "AbortError") side.prepend(el("p", { class: "fault" }, error.message));
    }
  }

  /** Load more of what was found; who asks while that runs waits for the same. */
  function reach() {
    const now = shown;
    if (!now.ended) now.reaching ??= load(now).finally(() => (now.reaching = null));
    return now.reaching;
  }

  async function load(now) {
    const loaded = now.hits.length;
    try {
      now.hits = (await now.more()) ?? now.hits;
      now.ended = now.hits.length === loaded;
    } catch {
      now.ended = true; // the grid beneath tells what went wrong
    }
    if (now === shown) tell();
  }

  async function turn(steps) {
    const now = shown;
    const position = now.position + steps;
    if (position >= now.hits.length) await reach();
    if (now !== shown || position < 0 || position >= now.hits.length) return;
    now.position = position;
    draw();
    announce(t("viewer.spoken", { name: now.hits[position].name, place: position + 1 }));
  }

  function pressed(event) {
    if (event.key !== "Escape") event.stopPropagation(); // the keys of the grid beneath are not meant
    if (writes(event.target) || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("video")) return;
    const keys = {
      ArrowLeft: () => turn(-1),
      ArrowRight: () => turn(1),
      "+": () => view.zoom.by(1),
      "=": () => view.zoom.by(1),
      "-": () => view.zoom.by(-1),
      0: () => view.zoom.reset(),
    };
    const act = keys[event.key] ?? (() => bar.querySelector(`[data-key="${CSS.escape(event.key)}"]`)?.click());
    act();
    if (event.key in keys) event.preventDefault();
  }
}
