/** The head of the page: its name, the index that is asked, the views, the language and the theme. */

import { el, icon, iconButton } from "./dom.js";
import { mountIndexPicker } from "./index_picker.js";
import { VIEWS } from "./registry.js";
import { on, set, state } from "./state.js";
import { nextTheme } from "./theme.js";
import { quote, say, setLanguage } from "./words.js";

const THEME_ICONS = { system: "half", light: "sun", dark: "moon" };

/** @param {HTMLElement} root */
export function mountHeader(root) {
  const home = el("a", { class: "name", href: "#/search", label: "home" }, el("img", { src: "/static/icon.svg", width: 28, height: 28 }));
  home.firstChild.alt = "";
  home.append(el("span", {}, "ERNIE-ViL"));
  home.addEventListener("click", (event) => {
    event.preventDefault();
    set({ view: "search", draft: "", minus: false, parts: [], filter: "", threshold: null, of: "images" });
    scrollTo({ top: 0 });
  });
  const picker = el("div", { class: "index-picker" });
  mountIndexPicker(picker);
  root.append(home, picker, menu(), el("div", { class: "preferences" }, language(), theme()));
}

function menu() {
  const links = VIEWS.map(({ name, icon: drawing, words }) => {
    const text = el("span", { words });
    return el("a", { href: `#/${name}`, data: { view: name }, title: words, onclick: open }, icon(drawing), text);
  });
  const mark = () => {
    for (const link of links) link.toggleAttribute("data-here", link.dataset.view === state.view);
    for (const link of links) link.ariaCurrent = link.dataset.view === state.view ? "page" : null;
  };
  on(["view"], mark);
  mark();
  return el("nav", { class: "views", label: "views" }, ...links);
}

function open(event) {
  event.preventDefault();
  set({ view: event.currentTarget.dataset.view });
}

function language() {
  const other = () => (state.language === "zh" ? "en" : "zh");
  const change = async () => {
    const next = other();
    await setLanguage(next); // whoever listens finds the words there
    set({ language: next });
  };
  const button = el("button", { type: "button", class: "icon-button language", onclick: change });
  const show = () => {
    quote(button, state.language === "zh" ? "EN" : "中");
    button.ariaLabel = state.language === "zh" ? "English" : "中文";
  };
  on(["language"], show);
  show();
  return button;
}

function theme() {
  const button = iconButton("half", "theme.system", nextTheme);
  const show = () => {
    button.replaceChildren(icon(THEME_ICONS[state.theme]));
    for (const slot of ["title", "aria-label"]) say(button, slot, `theme.${state.theme}`);
  };
  on(["theme"], show);
  show();
  return button;
}
