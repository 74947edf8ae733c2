/** A server that went away: a line over the page until it is back, and everything that was shown stays. */

import { el, emit, icon } from "./dom.js";

const AGAIN = { first: 1000, most: 8000 };

/** @param {HTMLElement} header what the line stands below */
export function startServerWatch(header) {
  const line = el("p", { class: "gone-line", role: "alert", hidden: true });
  header.after(line);
  let wait = AGAIN.first;
  const look = async () => {
    try {
      const answer = await fetch("/health", { cache: "no-store" });
      if (answer.ok) return back();
    } catch {
      // still away
    }
    wait = Math.min(wait * 1.6, AGAIN.most);
    setTimeout(look, wait);
  };
  const back = () => {
    line.hidden = true;
    line.replaceChildren();
    emit("server", { there: true, back: true });
  };
  document.addEventListener("server", ({ detail }) => {
    if (detail.there || !line.hidden) return;
    line.hidden = false;
    line.replaceChildren(icon("alert"), el("span", { words: "server.gone" }));
    wait = AGAIN.first;
    setTimeout(look, wait);
  });
}
