/** The picture of the viewer: at its best where this browser can show it, its kept thumbnail where not. */

import { ApiError, get } from "../core/api.js";
import { el, icon } from "../core/dom.js";
import { quote, say } from "../core/words.js";
import { player } from "./film.js";
import { thumbnail } from "./thumbnail.js";
import { zoomable } from "./zoom.js";

// What every browser of these years draws. A name without an ending (a row of a table) is worth a try.
const DRAWN = /\.(avif|bmp|gif|jfif|jpe?g|png|webp)$/i;
const ENDING = /\.[a-z0-9]{2,5}$/i;

function drawable(hit) {
  return Boolean(hit.original) && !hit.missing && !hit.video && (DRAWN.test(hit.name) || !ENDING.test(hit.name));
}

/**
 * @param {{turn: function(number): void}} heard
 * @returns {{node: HTMLElement, show: function(Object, Object[], Promise<Object[]>): void, zoom: Object, clear: function(): void}}
 */
export function stage({ turn }) {
  const picture = el("div", { class: "stage-picture" });
  const note = el("p", { class: "stage-note", role: "status", hidden: true });
  const frame = el("div", { class: "stage" }, picture, note);
  const zoom = zoomable(frame, picture, { turn });

  function tell(words) {
    note.hidden = !words;
    if (words) say(note, "text", words);
  }

  /** Why there is nothing to show is known by the server, which a picture cannot tell. */
  function nothing(address) {
    const drawing = el("div", { class: "stage-nothing" }, icon("picture"));
    picture.replaceChildren(drawing);
    tell("viewer.nothing");
    if (!address?.startsWith("/")) return;
    get(address).catch((error) => {
      if (error instanceof ApiError && drawing.isConnected) quote(note, error.message);
    });
  }

  function still(hit) {
    const image = el("img", { class: "stage-image", draggable: "false" });
    image.alt = hit.caption || hit.name;
    image.addEventListener("error", () => image.isConnected && nothing(thumbnail(hit, 640)), { once: true });
    image.src = thumbnail(hit, 640);
    picture.replaceChildren(image);
    if (!drawable(hit)) return;
    // The thumbnail stays until all of the original is there, so that nothing flickers.
    const better = el("img", { class: "stage-image", draggable: "false", src: hit.original });
    better.alt = image.alt;
    better.decode().then(
      () => picture.contains(image) && image.replaceWith(better),
      () => {},
    );
  }

  function show(hit, hits, others) {
    const plays = Boolean(hit.video && hit.original && !hit.missing);
    zoom.reset();
    tell(hit.missing ? "viewer.missing" : "");
    frame.classList.toggle("plays", plays);
    if (plays) {
      const failed = () => {
        frame.classList.remove("plays");
        still(hit);
        tell("viewer.no_film");
      };
      picture.replaceChildren(player(hit, hits, others, failed));
    } else if (thumbnail(hit, 640)) {
      still(hit);
    } else {
      nothing();
    }
  }

  return { node: frame, show, zoom, clear: () => picture.replaceChildren() };
}
