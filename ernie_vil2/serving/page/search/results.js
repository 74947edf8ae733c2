/** The place of the pictures: their number, the grid or what stands for it, and the way to more. */

import { el } from "../core/dom.js";
import { currentIndex, on, state } from "../core/state.js";
import { say } from "../core/words.js";
import { Grid } from "./grid.js";
import { MOST, allParts, answer, isAsked, loadMore, onAnswer } from "./query.js";
import { problem, skeleton } from "./status.js";
import { textResults } from "./text_results.js";

const AHEAD = "900px";

export class Results {
  /** @param {HTMLElement} root @param {{announce: function(string): void}} context */
  constructor(root, context) {
    this.context = context;
    this.count = el("p", { class: "count-line quiet small", role: "status" });
    this.progress = el("div", { class: "progress", "aria-hidden": "true" });
    this.place = el("div", { class: "place" });
    this.texts = el("div", { class: "place" });
    this.pictures = el("div", { class: "pictures" });
    this.grid = new Grid(this.pictures);
    this.button = el("button", { type: "button", words: "more", onclick: () => loadMore() });
    this.end = el("p", { class: "quiet small" });
    this.foot = el("div", { class: "more" }, this.button, this.end);
    root.append(el("div", { class: "results" }, this.count, this.progress, this.place, this.pictures, this.texts, this.foot));
    new IntersectionObserver(([entry]) => entry.isIntersecting && this.wantMore(), { rootMargin: AHEAD }).observe(this.foot);
    onAnswer((_, what) => this.show(what));
    on(["indexes", "index", "language", "of"], () => this.show("phase"));
    history.scrollRestoration = "manual";
  }

  wantMore() {
    if (answer.phase === "shown" && answer.more && !answer.error && !this.foot.hidden) loadMore();
  }

  show(what) {
    const waiting = answer.phase === "asking" || answer.phase === "slow";
    this.progress.hidden = !(answer.phase === "slow" || answer.loading);
    this.pictures.classList.toggle("old", answer.phase === "slow" || answer.phase === "away");
    const told = waiting ? null : problem();
    const bare = answer.phase === "slow" && !answer.hits.length;
    if (what !== "more") this.place.replaceChildren(...(told ? [told] : bare ? [skeleton()] : []));
    const asTexts = answer.hits.length > 0 && "text" in answer.hits[0];
    this.pictures.hidden = Boolean(told) || asTexts || bare;
    this.texts.hidden = Boolean(told) || !asTexts;
    if (what === "new" && !told) this.first(asTexts);
    if (what === "more") asTexts ? this.texts.replaceChildren(textResults(answer.hits)) : this.grid.more(answer.hits);
    this.foot.hidden = Boolean(told) || waiting || answer.phase === "away" || !answer.hits.length;
    this.button.hidden = !answer.more;
    this.button.disabled = answer.loading;
    this.ended();
    if (!waiting && answer.phase !== "away") this.counted(Boolean(told));
    if (what === "more" || what === "new") requestAnimationFrame(() => this.nearEnd() && this.wantMore());
  }

  /** A first page fills no tall window: the observer tells only of changes. */
  nearEnd() {
    return !this.foot.hidden && this.foot.getBoundingClientRect().top < innerHeight + parseInt(AHEAD);
  }

  first(asTexts) {
    if (asTexts) this.texts.replaceChildren(textResults(answer.hits));
    else this.grid.show(answer.hits, { anew: true });
    if (answer.scroll || scrollY > this.pictures.offsetTop) scrollTo({ top: answer.scroll });
  }

  ended() {
    this.end.hidden = answer.more;
    if (answer.stopped) say(this.end, "text", "more.stopped", { count: MOST });
    else say(this.end, "text", answer.hits.length > 20 ? "more.end" : "more.none");
  }

  counted(wrong) {
    const onlyMinus = !isAsked() && allParts().length > 0;
    const texts = state.of !== "images" && currentIndex()?.has_texts;
    const browse = onlyMinus ? "count.only_minus" : texts ? "count.browse_texts" : state.filter ? "count.browse_filtered" : "count.browse";
    const kind = answer.hits[0]?.text === undefined ? "count.found" : "count.texts";
    const sized = answer.total ?? answer.hits.length;
    const key = !isAsked() ? browse : answer.total === null && answer.more ? "count.at_least" : kind;
    this.count.hidden = wrong;
    if (!wrong) say(this.count, "text", key, { count: sized });
    else if (!this.place.querySelector("[role=alert]")) this.context.announce(this.place.querySelector("h2").textContent);
  }
}
