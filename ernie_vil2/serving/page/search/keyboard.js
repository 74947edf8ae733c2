/** Keys that work wherever the focus is, and the list of all of them. */

import { el, iconButton, writes } from "../core/dom.js";

const KEYS = [
  ["/", "keys.focus"],
  ["Esc", "keys.clear"],
  ["↑ ↓ ← →", "keys.move"],
  ["Enter", "keys.open"],
  ["x", "keys.select"],
  ["m", "keys.like"],
  ["n", "keys.minus"],
  ["?", "keys.help"],
];

/** The list of keys. */
export function mountHelp() {
  const dialog = el("dialog", { class: "help", label: "keys" });
  const rows = KEYS.map(([key, words]) => [el("dt", {}, ...key.split(" ").map((one) => el("kbd", {}, one))), el("dd", { words })]);
  dialog.append(
    el("div", { class: "filters-head" }, el("h2", { words: "keys" }), iconButton("close", "close", () => dialog.close())),
    el("dl", {}, ...rows.flat()),
    el("p", { class: "quiet small", words: "keys.pictures" }),
  );
  dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
  document.body.append(dialog);
  return dialog;
}

/**
 * @param {HTMLElement} root of the search view: while it is hidden, keys are not its own
 * @param {{box: Object, grid: Object, help: HTMLDialogElement}} what the keys act on
 */
export function startKeyboard(root, { box, grid, help }) {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (root.hidden || document.querySelector("dialog[open]")) return;
    const typing = writes(event.target);
    if (event.key === "Escape") {
      if (box.clear()) box.focus();
      else if (event.target.id === "query") event.target.blur(); // so that keys are no letters any more
      else return;
    } else if (typing && event.key === "ArrowDown" && event.target.id === "query") grid.focus(0);
    else if (typing) return;
    else if (event.key === "/") box.focus();
    else if (event.key === "?") help.showModal();
    else if (event.key === "ArrowDown" && event.target === document.body) grid.focus();
    else return;
    event.preventDefault();
  });
  document.addEventListener("leave-grid", () => box.focus());
}
