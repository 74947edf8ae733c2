/** The page begins here: its language, what it was asked by its address, the indexes, and its views. */

import { followAddress } from "./core/address.js";
import { emit, el } from "./core/dom.js";
import { mountHeader } from "./core/header.js";
import { startIndexes } from "./core/indexes.js";
import { OVERLAYS, VIEWS } from "./core/registry.js";
import { startSession } from "./core/session.js";
import { startServerWatch } from "./core/server_watch.js";
import { on, set, state } from "./core/state.js";
import { startTheme } from "./core/theme.js";
import { firstLanguage, setLanguage } from "./core/words.js";

const mounted = new Map();

const context = {
  /** Say something to a screen reader without taking the focus. */
  announce(text) {
    document.querySelector("body > .spoken").textContent = text;
  },
};

async function start() {
  startTheme();
  set({ language: firstLanguage() });
  await setLanguage(state.language);
  mountHeader(document.querySelector("header.top"), context);
  startServerWatch(document.querySelector("header.top"));
  await startSession(document.querySelector("main"));
  await startIndexes();
  followAddress();
  for (const { module } of OVERLAYS) (await import(module)).mount(document.body.appendChild(el("div")), context);
  on(["view"], show);
  document.addEventListener("search-by", ({ detail }) => {
    const beside = detail.add ? { parts: [...state.parts, ...detail.parts] } : { draft: "", minus: false, parts: detail.parts };
    set({ view: "search", threshold: null, of: "images", ...beside });
  });
  await show();
  emit("page-ready");
}

async function show() {
  const { name, module } = VIEWS.find((view) => view.name === state.view) ?? VIEWS[0];
  if (!mounted.has(name)) {
    const root = document.querySelector("main").appendChild(el("section", { class: `view view-${name}`, hidden: true }));
    mounted.set(name, { root, answers: {} });
    mounted.get(name).answers = (await import(module)).mount(root, context) ?? {};
  }
  for (const [other, { root, answers }] of mounted) {
    if (root.hidden === (other !== name)) continue;
    root.hidden = other !== name;
    answers[root.hidden ? "hidden" : "shown"]?.();
  }
}

start();
