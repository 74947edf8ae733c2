/** Elements of the page, made without any HTML: what a file or a caption says is never more than text. */

import { SHAPES } from "./icons.js";
import { say } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const SPOKEN = { words: "text", label: "aria-label", title: "title", placeholder: "placeholder", alt: "alt" };

/**
 * An element with its properties and children.
 *
 * @param {string} tag
 * @param {Object} props `onclick` and the like are listeners; `words`, `label`, `title`, `placeholder` and `alt` are a
 *   key of words or [key, values]; `css` are properties set through the CSSOM, `data` a dataset; the rest attributes.
 * @param {...(Node|string|null|false)} children text is set as text
 * @returns {HTMLElement}
 */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) apply(node, name, value);
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

function apply(node, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name in SPOKEN) say(node, SPOKEN[name], ...(Array.isArray(value) ? value : [value]));
  else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
  else if (name === "css") for (const [key, set] of Object.entries(value)) node.style.setProperty(key, set);
  else if (name === "data") Object.assign(node.dataset, value);
  else if (name === "value" || name === "checked" || name === "disabled") node[name] = value;
  else node.setAttribute(name, value === true ? "" : value);
}

/**
 * A drawing of icons.js, hidden from screen readers: the control around it has the name.
 *
 * @param {string} name
 * @returns {SVGElement}
 */
export function icon(name) {
  const drawing = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" })) {
    drawing.setAttribute(key, value);
  }
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", SHAPES[name]);
  drawing.append(path);
  return drawing;
}

/** A button that shows an icon alone; `label` is a key of words or [key, values], and its tooltip too. */
export function iconButton(name, label, onclick, props = {}) {
  const look = ["icon-button", props.class].filter(Boolean).join(" ");
  return el("button", { type: "button", title: label, label, onclick, ...props, class: look }, icon(name));
}

/** Tell the whole page: listeners stand on `document`. */
export function emit(name, detail) {
  document.dispatchEvent(new CustomEvent(name, { detail }));
}

/** Call `fn` once `wait` milliseconds have passed without another call; `.cancel()` forgets it. */
export function later(fn, wait) {
  let timer;
  const called = (...given) => {
    clearTimeout(timer);
    timer = setTimeout(fn, wait, ...given);
  };
  called.cancel = () => clearTimeout(timer);
  return called;
}

/** Whether a key pressed now would write into a field. */
export function writes(target) {
  return target.isContentEditable || target.matches?.("input:not([type=checkbox],[type=range],[type=radio]), textarea, select");
}
