/** Pictures that were dropped, chosen or pasted, on their way to the server: what became of each. */

import { get } from "../core/api.js";
import { el, emit, iconButton } from "../core/dom.js";
import { set, state } from "../core/state.js";
import { partOf, token } from "../core/uploads.js";
import { bytes, say, t } from "../core/words.js";
import { queueRow } from "./row.js";

const AT_ONCE = 2;
const ONE_DROP = 60; // milliseconds within which files belong to one drop
const SLOW = 400; // a single picture is shown in the queue only when it takes longer
const HOPELESS = ["body_too_large", "image", "media_type", "picture_empty"]; // what is wrong with the file itself

let limits = null;

/** Bytes of the largest picture that the server takes; what is larger is not sent at all. */
async function largest() {
  limits ??= get("/api/session").then((session) => session.limits.upload_bytes);
  try {
    return await limits;
  } catch {
    limits = null;
    return Infinity;
  }
}

/** @param {HTMLElement} root */
export function mount(root, { announce }) {
  let items = [];
  let dropped = [];
  let timer = null;

  const title = el("h2", { class: "queue-title", words: "queue.name" });
  const all = el("button", { type: "button", class: "primary", onclick: () => search(ready()) });
  const again = el("button", {
    type: "button",
    words: "queue.retry_all",
    onclick: () => items.filter(hopeful).forEach(retry),
  });
  const close = iconButton("close", "queue.close", empty);
  const list = el("ul", { class: "queue-list" });
  const head = el("div", { class: "panel-head" }, title, close);
  const panel = el(
    "section",
    { class: "queue", label: "queue.name", hidden: true },
    head,
    list,
    el("div", { class: "panel-row" }, all, again),
  );
  root.append(panel);

  document.addEventListener("add-upload", ({ detail }) => {
    dropped.push(detail.file);
    clearTimeout(timer);
    timer = setTimeout(take, ONE_DROP);
  });

  const ready = () => items.filter((item) => item.state === "encoded");
  const hopeful = (item) => item.state === "refused" && !item.hopeless;

  /** One picture alone is searched by as soon as it is there; several wait for the person to choose. */
  function take() {
    const alone = dropped.length === 1 && !items.length;
    const added = dropped.map((file) => ({
      file,
      part: partOf(file),
      state: "waiting",
      progress: 0,
      weight: 1,
      alone,
    }));
    dropped = [];
    for (const item of added) {
      item.row = queueRow(item, { remove, retry, look, search: () => search([item]) });
      list.append(item.row.node);
    }
    items.push(...added);
    if (alone) setTimeout(draw, SLOW);
    else draw();
    work();
  }

  function work() {
    const busy = items.filter((item) => item.state === "uploading").length;
    const waiting = items.filter((item) => item.state === "waiting").slice(0, AT_ONCE - busy);
    for (const item of waiting) send(item);
  }

  async function send(item) {
    item.state = "uploading";
    item.stop = new AbortController();
    item.row.draw();
    const most = await largest();
    if (!items.includes(item)) return;
    if (item.file.size > most)
      return refuse(item, t("queue.too_large", { size: bytes(item.file.size), most: bytes(most) }), true);
    const onprogress = (share) => {
      item.progress = share;
      item.row.draw();
    };
    try {
      await token(item.part.upload, state.index, { signal: item.stop.signal, onprogress });
      item.state = "encoded";
    } catch (error) {
      if (error.name !== "AbortError") refuse(item, error.message, HOPELESS.includes(error.code));
      return;
    }
    if (!items.includes(item)) return;
    if (item.alone && items.length === 1) search([item]);
    else done(item);
    if (items.length && items.every((other) => other.state === "encoded"))
      announce(t("queue.all_encoded", { count: items.length }));
  }

  function refuse(item, message, hopeless) {
    Object.assign(item, { state: "refused", message, hopeless, alone: false });
    announce(`${item.file.name}: ${message}`);
    done(item);
  }

  function done(item) {
    item.row.draw();
    draw();
    work();
  }

  function search(chosen) {
    const parts = chosen.map(({ part, weight }) => ({ ...part, weight }));
    if (state.view === "compare") set({ parts, draft: "" });
    else emit("search-by", { parts, add: items.length === 1 });
    if (chosen.length === items.length) empty();
  }

  function look(item) {
    const hits = ready().map(({ file, part }) => ({ ...part, size: file.size }));
    emit("open-picture", { hits, position: ready().indexOf(item), index: state.index });
  }

  function retry(item) {
    item.state = "waiting";
    item.message = "";
    item.row.draw();
    work();
  }

  function remove(item) {
    item.stop?.abort();
    item.row.node.remove();
    items = items.filter((other) => other !== item);
    draw();
    work();
  }

  function empty() {
    for (const item of items) if (item.state !== "encoded") item.stop?.abort();
    items = [];
    list.replaceChildren();
    draw();
  }

  function draw() {
    panel.hidden = !items.length;
    const count = ready().length;
    all.hidden = count < 2;
    say(all, "text", "queue.search_all", { count });
    again.hidden = !items.some(hopeful);
  }
}
