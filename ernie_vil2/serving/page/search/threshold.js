/** From which score on pictures are shown, and what that score means for this very query. */

import { el, later } from "../core/dom.js";
import { currentIndex, on, set, state } from "../core/state.js";
import { number, say } from "../core/words.js";
import { score } from "./card.js";
import { allParts, answer, isAsked, onAnswer } from "./query.js";

const PAUSE = 160;
const STEPS = 200;
const SAMPLE = 512;

/**
 * The share of all pictures that reach a score, by the quantiles of a sample of them.
 *
 * @param {number[]} quantiles rising, from the least score to the most
 * @param {number} value
 * @returns {number} 0..1; 0 where none of the sample reaches it
 */
export function shareAbove(quantiles, value) {
  const last = quantiles.length - 1;
  if (value <= quantiles[0]) return 1;
  if (value > quantiles[last]) return 0;
  const at = quantiles.findIndex((quantile) => quantile >= value);
  const low = quantiles[at - 1];
  const inside = quantiles[at] > low ? (value - low) / (quantiles[at] - low) : 1;
  return 1 - (at - 1 + inside) / last;
}

/** The key of words and its values that say a share of all pictures. */
export function shareWords(share, pictures) {
  const sample = Math.min(SAMPLE, Math.max(pictures, 1));
  if (share >= 0.995) return ["threshold.all"];
  if (share < 1 / sample) return ["threshold.fewer", { count: sample }];
  if (share >= 0.2) return ["threshold.percent", { percent: () => number(share, { style: "percent", maximumFractionDigits: 0 }) }];
  return ["threshold.one_in", { count: Math.round(1 / share) }];
}

/** What a query compares, as kept thresholds name it. */
export function compared() {
  const asked = allParts().filter((part) => !part.minus);
  const texts = asked.filter((part) => "text" in part).length;
  if (texts === asked.length) return state.of === "images" ? "text-image" : "text-text";
  return texts ? "" : state.of === "images" ? "image-image" : "text-image";
}

/** @param {HTMLElement} root */
export function mountThreshold(root) {
  const slider = el("input", { type: "range", id: "threshold", min: 0, max: STEPS, step: 1, label: "threshold", "aria-describedby": "threshold-means" });
  const means = el("output", { id: "threshold-means", for: "threshold", class: "small" });
  const named = el("div", { class: "threshold-named", role: "group", label: "threshold.kept" });
  const label = el("label", { for: "threshold", words: "threshold", class: "small" });
  root.append(el("span", { class: "threshold-slide" }, label, slider), means, named);
  let range = [0, 1];

  const valueAt = (step) => range[0] + ((range[1] - range[0]) * step) / STEPS;
  const stepOf = (value) => Math.round(((value - range[0]) / (range[1] - range[0])) * STEPS);
  const kept = () => (currentIndex()?.thresholds ?? []).filter((threshold) => threshold.of === compared());
  const inForce = () => {
    if (typeof state.threshold !== "string") return state.threshold;
    return currentIndex()?.thresholds.find(({ name }) => name === state.threshold)?.threshold ?? null;
  };

  const tell = (value) => {
    means.classList.toggle("idle", value === null);
    if (value === null || !answer.background) {
      slider.removeAttribute("aria-valuetext");
      return say(means, "text", "threshold.none");
    }
    const [key, values] = shareWords(shareAbove(answer.background, value), currentIndex()?.pictures ?? 0);
    say(means, "text", key, { ...values, score: () => score(value) });
    slider.setAttribute("aria-valuetext", `${score(value)}: ${means.textContent}`);
  };
  const slow = later(() => {
    const step = Number(slider.value);
    set({ threshold: step === 0 ? null : Number(valueAt(step).toFixed(4)) }, { replace: state.threshold !== null });
  }, PAUSE);
  slider.addEventListener("input", () => {
    tell(Number(slider.value) === 0 ? null : valueAt(Number(slider.value)));
    slow();
  });

  const show = () => {
    root.hidden = !(isAsked() && answer.background);
    if (root.hidden) return;
    const [least, most] = [answer.background[(answer.background.length - 1) / 2], answer.background.at(-1)]; // half of all: nobody wants less
    const best = answer.hits[0]?.score ?? most;
    const now = inForce();
    range = [Math.min(least, now ?? least), Math.max(most, best, now ?? most)];
    if (range[0] === range[1]) range[1] += 0.01;
    if (document.activeElement !== slider || state.threshold === null) slider.value = now === null ? 0 : Math.max(stepOf(now), 1);
    tell(now);
    named.replaceChildren(...kept().map(button));
  };
  const button = (threshold) => {
    const percent = (hundredths) => () => number(hundredths / 100, { style: "percent", maximumFractionDigits: 0 });
    const measured = Boolean(threshold.precision && threshold.recall);
    const told = { ...threshold, score: () => score(threshold.threshold), precision: percent(threshold.precision), recall: percent(threshold.recall) };
    return el("button", {
      type: "button",
      class: "threshold-name small",
      "aria-pressed": String(state.threshold === threshold.name),
      title: [measured ? "threshold.named_title" : "threshold.named_plain", told],
      words: [measured ? "threshold.named" : "threshold.named_bare", told],
      onclick: () => set({ threshold: state.threshold === threshold.name ? null : threshold.name }),
    });
  };
  onAnswer((_, what) => what === "new" && show());
  on(["threshold", "language", "indexes", "of"], show);
  show();
}
