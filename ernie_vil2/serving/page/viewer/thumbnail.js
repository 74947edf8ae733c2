/** The small picture of a hit, wherever it is shown. */

import { el, icon } from "../core/dom.js";
import { languageOf } from "../core/words.js";

/** The address of a picture's thumbnail of `size` pixels, null where it has none; of an upload, the file itself. */
export function thumbnail(hit, size) {
  if (hit.preview) return hit.preview;
  return hit.thumbnail ? `${hit.thumbnail.split("?")[0]}?size=${size}` : null;
}

/**
 * @param {Object} hit
 * @param {number} size pixels: 160, 320 or 640
 * @param {string} alt "" where the control around it has a name
 * @returns {HTMLElement} the picture, or a drawing and its name in its place where there is nothing to show
 */
export function smallPicture(hit, size, alt = "") {
  const none = el(
    "span",
    { class: "no-picture" },
    icon("picture"),
    alt && el("span", { class: "small", lang: languageOf(alt) }, alt),
  );
  const address = thumbnail(hit, size);
  if (!address) return none;
  const image = el("img", { loading: "lazy", lang: alt && languageOf(alt), src: address });
  image.alt = alt;
  image.addEventListener("error", () => image.replaceWith(none), { once: true });
  return image;
}
