/** Which index is asked, with how much is in it; a list of all of them where there are several. */

import { el, icon } from "./dom.js";
import { currentIndex, on, set, state } from "./state.js";
import { say, t } from "./words.js";

/** @param {HTMLElement} root */
export function mountIndexPicker(root) {
  const select = el("select", { label: "index.choose", onchange: () => choose(select.value) });
  const count = el("span", { class: "count" });
  root.append(el("label", {}, icon("index"), select, icon("down")), count);
  const show = () => {
    const known = state.indexes.some(({ name }) => name === state.index);
    const gone = state.index && !known ? [{ name: state.index, state: "broken" }] : [];
    select.replaceChildren(...[...gone, ...state.indexes].map(option));
    select.value = state.index;
    select.disabled = state.indexes.length + gone.length < 2;
    root.hidden = !state.indexes.length;
    const index = currentIndex();
    count.hidden = index?.state !== "ready";
    if (index) say(count, "text", index.updating ? "index.updating" : "index.pictures", { count: index.pictures });
    root.classList.toggle("updating", Boolean(index?.updating));
  };
  on(["index", "indexes", "language"], show);
  show();
}

function option({ name, state: condition }) {
  return el("option", { value: name }, condition === "broken" ? t("index.broken_option", { name }) : name);
}

/** Another index: the query goes along, but no words to one that has no model for them, and nothing of the old one's own. */
function choose(name) {
  const wordless = !state.indexes.find((index) => index.name === name)?.can_encode;
  const spoken = wordless ? { draft: "", minus: false, parts: state.parts.filter((part) => "id" in part) } : {};
  set({ index: name, filter: "", threshold: null, of: "images", ...spoken });
}
