/** One side of the compare view: an index and its answer, each picture with its rank on the other side. */

import { el, emit } from "../core/dom.js";
import { number, quote, say } from "../core/words.js";
import { sameness } from "./agreement.js";
import { smallPicture } from "../viewer/thumbnail.js";

/**
 * @param {string} label of its list of indexes, a key of words
 * @param {function(string): void} chosen the name of the index that the person chose
 */
export function compareSide(label, chosen) {
  const picker = el("select", { label, onchange: () => chosen(picker.value) });
  const model = el("span", { class: "quiet small" });
  const list = el("ol", { class: "compare-list" });
  const told = el("p", { class: "quiet", hidden: true });
  const node = el(
    "section",
    { class: "compare-side" },
    el("div", { class: "compare-head" }, picker, model),
    told,
    list,
  );

  function offer(indexes, name) {
    picker.replaceChildren(...indexes.map((index) => el("option", { value: index.name }, index.name)));
    picker.value = name ?? "";
    node.setAttribute("aria-label", picker.value);
    const { digest, name: title } = indexes.find((index) => index.name === name)?.model ?? {};
    if (title || digest) quote(model, [title, digest?.slice(0, 8)].filter(Boolean).join(" · "));
    else say(model, "text", "compare.no_model");
  }

  function sentence(words, values) {
    told.hidden = !words;
    told.classList.remove("fault");
    if (words) say(told, "text", words, values);
  }

  /** `elsewhere`: the ranks on the other side, nothing where it did not answer. */
  function show(index, { hits = [], error }, elsewhere, depth) {
    sentence(hits.length || error ? "" : "compare.none");
    if (error) {
      told.hidden = false;
      told.classList.add("fault");
      quote(told, error.message);
    }
    list.classList.remove("waits");
    list.replaceChildren(
      ...hits.map((hit, position) => card(index, hits, position, elsewhere?.get(sameness(hit)), elsewhere ? depth : 0)),
    );
  }

  return {
    node,
    offer,
    show,
    wait: () => list.classList.add("waits"),
    clear: () => (sentence(""), list.replaceChildren()),
  };
}

function card(index, hits, position, there, depth) {
  const hit = hits[position];
  const image = smallPicture(hit, 320, hit.caption || hit.name);
  const other = there ? ["compare.there", { rank: there }] : ["compare.not_there", { depth }];
  const foot = el(
    "span",
    { class: "compare-foot small number" },
    el("strong", {}, number(position + 1)),
    typeof hit.score === "number" &&
      el("span", { class: "quiet" }, number(hit.score, { minimumFractionDigits: 3, maximumFractionDigits: 3 })),
    depth > 0 && el("span", { class: there ? "there" : "quiet", words: other }),
  );
  const open = () => emit("open-picture", { hits, position, index });
  const button = el(
    "button",
    { type: "button", class: there ? "compare-card shared" : "compare-card", onclick: open },
    image,
    foot,
  );
  button.title = hit.name;
  return el("li", {}, button);
}
