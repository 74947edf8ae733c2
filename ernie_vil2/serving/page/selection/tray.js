/** The tray of what is selected, at the foot of every view: how many, which, and what to do with them. */

import { place, post } from "../core/api.js";
import { el, icon, iconButton } from "../core/dom.js";
import { on, state } from "../core/state.js";
import { toast } from "../core/toast.js";
import { bytes, say, t } from "../core/words.js";
import { MOST, bringBack, byIndex, choose, clear, keep } from "./chosen.js";
import { copy } from "../viewer/facts.js";
import { smallPicture } from "../viewer/thumbnail.js";

const SEEN = 12;

/** @param {HTMLElement} root */
export function mount(root) {
  const count = el("strong", { class: "number", role: "status" });
  const pictures = el("div", { class: "tray-pictures" });
  const pack = el(
    "button",
    { type: "button", class: "primary", onclick: () => busy(archives) },
    icon("download"),
    el("span", { words: "tray.zip" }),
  );
  const list = el(
    "button",
    { type: "button", onclick: () => busy(paths) },
    icon("copy"),
    el("span", { words: "tray.paths" }),
  );
  const none = el("button", { type: "button", onclick: leave }, el("span", { words: "tray.clear" }));
  const tray = el(
    "section",
    { class: "tray", label: "tray.name", hidden: true },
    count,
    pictures,
    el("div", { class: "tray-actions" }, pack, list, none),
  );
  const sheet = pathSheet();
  root.append(tray, sheet.node);

  document.addEventListener("select-picture", ({ detail }) => select(detail.index, [detail.hit], detail.on));
  on(["selected"], draw);
  bringBack();
  draw();

  function draw() {
    const all = [...state.selected.values()];
    tray.hidden = !all.length;
    document.body.classList.toggle("has-tray", !tray.hidden);
    say(count, "text", "tray.count", { count: all.length });
    pictures.replaceChildren(...all.slice(-SEEN).reverse().map(small));
  }

  async function busy(run) {
    for (const button of [pack, list]) button.disabled = true;
    try {
      await run();
    } catch (error) {
      toast(error.message, { kind: "error" });
    } finally {
      for (const button of [pack, list]) button.disabled = false;
    }
  }

  async function paths() {
    const answers = await exported("paths");
    sheet.show(answers.flatMap((answer) => answer.paths));
  }
}

/** Select hits of an index or leave them, and say when no more fit. */
export function select(index, hits, wanted) {
  const left = choose(index, hits, wanted);
  if (left) toast(t("tray.full", { most: MOST, count: left }), { kind: "error" });
}

function small({ index, hit }) {
  const label = ["tray.leave", { name: hit.name }];
  return el(
    "button",
    { type: "button", class: "tray-picture", label, title: label, onclick: () => choose(index, [hit], false) },
    smallPicture(hit, 160),
    icon("close"),
  );
}

function leave() {
  const before = clear();
  toast(t("tray.cleared", { count: before.size }), { action: { words: "tray.undo", run: () => keep(before) } });
}

/** The answers of every index that has selected pictures, one after the other. */
async function exported(form) {
  const answers = [];
  for (const [index, ids] of byIndex()) answers.push(await post(place(index, "exports"), { ids, form }));
  return answers;
}

async function archives() {
  for (const { count, download, missing, bytes: size } of await exported("zip")) {
    if (count > missing) save(download, "");
    toast(t(missing ? "tray.packed_missing" : "tray.packed", { count: count - missing, missing, size: bytes(size) }));
  }
}

function save(address, name) {
  const link = el("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
}

/** The list of paths: to read, to copy, and as a file. */
function pathSheet() {
  const text = el("textarea", {
    class: "wide paths",
    rows: 12,
    readonly: true,
    label: "tray.paths",
    spellcheck: "false",
    wrap: "off",
  });
  const close = iconButton("close", "close", () => dialog.close());
  const whole = el(
    "button",
    { type: "button", class: "primary", onclick: () => copy(text.value) },
    icon("copy"),
    el("span", { words: "copy.do" }),
  );
  const file = el(
    "button",
    { type: "button", onclick: keepFile },
    icon("download"),
    el("span", { words: "tray.text_file" }),
  );
  const head = el("div", { class: "panel-head" }, el("h2", { words: "tray.paths" }), close);
  const dialog = el(
    "dialog",
    { class: "path-sheet", label: "tray.paths" },
    head,
    text,
    el("div", { class: "panel-row" }, whole, file),
  );

  function keepFile() {
    const address = URL.createObjectURL(new Blob([text.value], { type: "text/plain" }));
    save(address, "pictures.txt");
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  }

  function show(lines) {
    text.value = lines.map((line) => `${line}\n`).join("");
    dialog.showModal();
    text.focus();
    text.select();
    text.scrollTop = 0;
  }
  return { node: dialog, show };
}
