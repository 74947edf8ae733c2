/** One picture of the upload queue: its thumbnail, what became of it, and what can be done with it. */

import { el, icon, iconButton } from "../core/dom.js";
import { bytes, quote, say } from "../core/words.js";

const WEIGHTS = [0.25, 0.5, 1, 2, 4];

/**
 * @param {{file: File, part: Object, state: string, progress: number, weight: number, message?: string, hopeless?: boolean}} item
 *   hopeless: whether it will never be taken
 * @param {{remove: Function, retry: Function, look: Function, search: Function}} act each is called with the item
 * @returns {{node: HTMLElement, draw: function(): void}}
 */
export function queueRow(item, act) {
  const name = item.file.name;
  const image = el("img", { src: item.part.preview });
  image.alt = "";
  const picture = el(
    "button",
    { type: "button", class: "queue-picture", label: ["queue.look", { name }], onclick: () => act.look(item) },
    image,
  );
  // What the browser cannot draw may still be a picture for the server: then a drawing stands for it.
  image.addEventListener("error", () => picture.replaceChildren(icon("picture")), { once: true });
  const title = el("span", { class: "queue-name" });
  quote(title, name);
  const told = el("span", { class: "small quiet" });
  const bar = el("progress", { max: 1, label: ["queue.progress", { name }] });
  const weight = weights(item, name);
  const search = iconButton("search", ["queue.search", { name }], () => act.search(item));
  const again = iconButton("retry", ["queue.retry", { name }], () => act.retry(item));
  const gone = iconButton("close", ["queue.remove", { name }], () => act.remove(item));
  const node = el(
    "li",
    { class: "queue-row" },
    picture,
    el("div", { class: "queue-text" }, title, bar, told),
    weight,
    search,
    again,
    gone,
  );

  function draw() {
    node.dataset.state = item.state;
    bar.hidden = item.state !== "uploading";
    if (item.progress < 1) bar.value = item.progress;
    else bar.removeAttribute("value"); // all is sent: the server encodes, for as long as it takes
    for (const part of [weight, search]) part.hidden = item.state !== "encoded";
    picture.disabled = item.state !== "encoded";
    again.hidden = item.state !== "refused" || item.hopeless;
    told.classList.toggle("fault", item.state === "refused");
    if (item.state === "refused") quote(told, item.message);
    else say(told, "text", `queue.${item.state}`, { size: () => bytes(item.file.size) });
  }

  draw();
  return { node, draw };
}

function weights(item, name) {
  const options = WEIGHTS.map((value) => el("option", { value }, `× ${value}`));
  const select = el(
    "select",
    { class: "queue-weight", label: ["queue.weight", { name }], title: ["queue.weight", { name }] },
    options,
  );
  select.value = item.weight;
  select.addEventListener("change", () => (item.weight = Number(select.value)));
  return select;
}
