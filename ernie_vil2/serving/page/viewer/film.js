/** A film at the moment that was found, with the other found moments of the same film as marks. */

import { el } from "../core/dom.js";

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
 * @returns {number[]} the found moments of that film in seconds, rising, its own among them
 */
export function moments(hit, hits) {
  const same = hits.filter((other) => other.video && fileName(other) === fileName(hit) && other.folder === hit.folder);
  return [...new Set([hit, ...same].map((other) => other.time ?? 0))].sort((one, other) => one - other);
}

/**
 * @param {Object} hit a moment of a film that has an `original`
 * @param {Object[]} hits all that were found
 * @param {function(): void} failed this browser cannot play it
 * @returns {HTMLElement}
 */
export function player(hit, hits, failed) {
  const own = hit.time ?? 0;
  const times = moments(hit, hits);
  const film = el("video", {
    controls: true,
    playsinline: true,
    preload: "metadata",
    poster: hit.thumbnail,
    label: ["viewer.film", { name: fileName(hit), time: clock(own) }],
  });
  film.addEventListener("error", failed, { once: true });
  film.src = `${hit.original}#t=${own}`;
  const go = (event) => {
    film.currentTime = times[marks.indexOf(event.currentTarget)];
    for (const mark of marks) mark.setAttribute("aria-pressed", String(mark === event.currentTarget));
  };
  const marks = times.map((time) =>
    el("button", { type: "button", class: "mark", "aria-pressed": String(time === own), onclick: go }, clock(time)),
  );
  const strip = el("div", { class: "marks", role: "group", label: "viewer.moments" }, marks);
  return el("div", { class: "film" }, film, marks.length > 1 && strip);
}
