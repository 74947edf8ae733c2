/** What is known of one picture, as a list of names and values; what its score says. */

import { el, iconButton } from "../core/dom.js";
import { toast } from "../core/toast.js";
import { bytes, day, quote, t } from "../core/words.js";
import { compared } from "../search/threshold.js";
import { clock } from "./film.js";

/** Put text on the clipboard and say so; where the browser forbids it, say that instead. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast(t("copy.done"));
  } catch {
    toast(t("copy.forbidden"));
  }
}

/**
 * What a score means: that it is a cosine, and the strictest kept threshold for such a query that it reaches.
 *
 * @param {number} score
 * @param {Object[]} thresholds of the index's record
 * @returns {[string, Object]} a key of words and its values
 */
export function meaning(score, thresholds = []) {
  const reached = thresholds.filter(({ threshold, of }) => of === compared() && threshold <= score);
  const [best] = reached.sort((one, other) => other.threshold - one.threshold);
  if (!best) return ["viewer.score_plain", {}];
  return ["viewer.score_above", { name: best.name, percent: Math.round(best.precision) }];
}

/**
 * @param {Object} hit
 * @returns {HTMLElement} a list of what is known; what is not known has no row
 */
export function facts(hit) {
  const rows = [
    ["folder", hit.folder],
    ["time", hit.video && clock(hit.time ?? 0)],
    ["date", hit.date && day(hit.date, "long")],
    ["pixels", hit.width && hit.height && `${hit.width} × ${hit.height}`],
    ["size", hit.size && bytes(hit.size)],
    ["source", hit.source],
  ].filter(([, value]) => value);
  const list = rows.flatMap(([name, value]) => [el("dt", { words: `viewer.${name}` }), quoted(value)]);
  if (hit.path) {
    const button = iconButton("copy", "viewer.copy_path", () => copy(hit.path));
    list.push(el("dt", { words: "viewer.path" }), el("dd", { class: "with-copy" }, el("code", {}, hit.path), button));
  }
  return el("dl", { class: "facts" }, list);
}

function quoted(text) {
  const node = el("dd");
  quote(node, String(text));
  return node;
}
