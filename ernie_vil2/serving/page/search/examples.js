/** Three queries that fit the index, from its own captions and tags where it has them. */

import { get, place } from "../core/api.js";
import { el } from "../core/dom.js";
import { currentIndex, on, set, state } from "../core/state.js";
import { languageOf, languageTag, t } from "../core/words.js";
import { answer, isAsked, onAnswer } from "./query.js";

const COUNT = 3;
const ASKED = 6;
const LONGEST = { "zh-Hans": 16, en: 44 };

/** @param {HTMLElement} root */
export function mountExamples(root) {
  let known = { index: "", pictures: [], tags: [] };
  const show = () => {
    const index = currentIndex();
    root.hidden = isAsked() || Boolean(state.filter) || index?.state !== "ready" || !index.can_encode || !index.pictures;
    if (root.hidden) return;
    const own = known.index === state.index ? fitting(known) : [];
    const general = [1, 2, 3].map((number) => t(`example.${number}`));
    root.replaceChildren(el("span", { class: "quiet", words: "examples" }), ...[...own, ...general].slice(0, COUNT).map(example));
  };
  const load = async () => {
    const index = currentIndex();
    if (!index?.has_texts || known.index === index.name || answer.phase !== "shown" || isAsked() || !index.can_encode) return;
    known = { index: index.name, pictures: [], tags: [] };
    const captioned = answer.hits.filter((hit) => hit.caption).slice(0, ASKED);
    try {
      const places = [place(index.name, "facets"), ...captioned.map(({ id }) => place(index.name, "pictures", id))];
      const [facets, ...pictures] = await Promise.all(places.map((path) => get(path)));
      const tags = facets.tags.map(({ value }) => value);
      known = { index: index.name, pictures: pictures.map(({ texts }) => texts), tags };
      show();
    } catch {
      // general examples stay
    }
  };
  on(["draft", "parts", "filter", "index", "indexes", "language"], show);
  onAnswer((_, what) => {
    if (what !== "new") return;
    show();
    load();
  });
  show();
}

function example(text) {
  const ask = () => set({ draft: text, minus: false });
  return el("button", { type: "button", class: "example", lang: languageOf(text), onclick: ask }, text);
}

/** A text that is read at a glance: of a long one its longest clause that is; "" where there is none. */
function brief(text) {
  const most = LONGEST[languageOf(text)];
  const clauses = text.length <= most ? [text] : text.split(/[,;:.，；：。、]\s*/).filter((clause) => clause.length <= most);
  return clauses.sort((one, other) => other.length - one.length)[0] ?? "";
}

/** Texts to try, one a picture: in the page's language, then tags, then in the other one; none twice. */
function fitting({ pictures, tags }) {
  const spoken = (text) => languageOf(text) === languageTag();
  const said = pictures.map((texts) => texts.filter((text) => !tags.includes(text)));
  const own = said.map((texts) => brief(texts.find(spoken) ?? ""));
  const other = said.map((texts) => brief(texts.find((text) => !spoken(text)) ?? ""));
  return [...new Set([...own, ...tags.filter(spoken), ...tags, ...other])].filter((text) => text.length > 1);
}
