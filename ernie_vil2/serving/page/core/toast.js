/** A sentence at the foot of the page that goes by itself, with at most one thing to do about it. */

import { el, iconButton } from "./dom.js";

const SHOWN = { plain: 5000, action: 9000 };

/**
 * @param {string} message in the page's language
 * @param {{action?: {words: string, run: function(): void}, kind?: "error"}} options
 */
export function toast(message, { action, kind } = {}) {
  const over = document.querySelector("dialog:modal") ?? document.body; // what lies under a modal dialog is not seen
  const tray = over.querySelector(":scope > .toasts") ?? over.appendChild(el("div", { class: "toasts", role: "status" }));
  const gone = () => note.remove();
  const note = el(
    "div",
    { class: kind === "error" ? "toast toast-error" : "toast" },
    el("span", {}, message),
    action && el("button", { type: "button", class: "link", words: action.words, onclick: () => (gone(), action.run()) }),
    iconButton("close", "close", gone),
  );
  tray.append(note);
  setTimeout(gone, action || kind === "error" ? SHOWN.action : SHOWN.plain);
  while (tray.childElementCount > 3) tray.firstChild.remove();
}
