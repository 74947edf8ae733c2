/** A film at the moment that was found, with other moments of the same film as marks. */

import { place, post } from "../core/api.js";
import { el } from "../core/dom.js";
import { termOf } from "../search/filter_terms.js";

const MOST = 60; // marks that are asked for, so that those of a long film can be looked over

/** Seconds as 1:05 or 1:02:03. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (value) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** The name of the file: a moment of a film is named `film.mp4@12.0s`. */
export function fileName({ name, video }) {
  return video ? name.replace(/@[\d.]+s$/, "") : name;
}

/**
 * @param {Object} hit
 * @param {Object[]} hits all that were found
 * @returns {number[]} the moments of that film among them in seconds, rising, its own too
 */
export function moments(hit, hits) {
  const same = hits.filter((other) => other.video && fileName(other) === fileName(hit) && other.folder === hit.folder);
  return [...new Set([hit, ...same].map((other) => other.time ?? 0))].sort((one, other) => one - other);
}

/**
 * @param {string} index
 * @param {Object} hit a moment of a film
 * @param {AbortSignal} signal
 * @returns {Promise<Object[]>} moments of that film, those that are most like it; none where the server cannot tell
 */
export async function likeMoments(index, hit, signal) {
  const terms = ["video", termOf("name", [fileName(hit)]), ...(hit.folder ? [termOf("folder", [hit.folder])] : [])];
  const asked = { k: MOST, parts: [{ id: hit.id }], filter: terms.join(" ") };
  return post(place(index, "search"), asked, { signal }).then(
    ({ hits }) => hits,
    () => [],
  );
}

/**
 * @param {Object} hit a moment of a film that has an `original`
 * @param {Object[]} hits all that were found
 * @param {Promise<Object[]>} others moments that come later
 * @param {function(): void} failed this browser cannot play it
 * @returns {HTMLElement}
 */
export function player(hit, hits, others, failed) {
  const own = hit.time ?? 0;
  let chosen = own;
  const film = el("video", {
    controls: true,
    playsinline: true,
    preload: "metadata",
    poster: hit.thumbnail,
    label: ["viewer.film", { name: fileName(hit), time: clock(own) }],
  });
  film.addEventListener("error", failed, { once: true });
  film.src = `${hit.original}#t=${own}`;
  const strip = el("div", { class: "marks", role: "group", label: "viewer.moments" });
  const mark = (time) => {
    const go = () => {
      film.currentTime = chosen = time;
      for (const one of strip.children) one.setAttribute("aria-pressed", String(one === button));
    };
    const pressed = String(time === chosen);
    const button = el("button", { type: "button", class: "mark", "aria-pressed": pressed, onclick: go }, clock(time));
    return button;
  };
  const draw = (found) => {
    const times = moments(hit, found);
    strip.hidden = times.length < 2;
    if (times.length > strip.children.length) strip.replaceChildren(...times.map(mark));
  };
  draw(hits);
  others.then((more) => draw([...hits, ...more]));
  return el("div", { class: "film" }, film, strip);
}
