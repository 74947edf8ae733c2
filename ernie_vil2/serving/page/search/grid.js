/**
 * The pictures that were found, in rows of equal height that fill the width. A row is made by the known width and height
 * of its pictures, so nothing moves when they arrive; keys move through them as through a table.
 */

import { el, emit } from "../core/dom.js";
import { on, state } from "../core/state.js";
import { card, markSelected } from "./card.js";
import { answer, loadMore } from "./query.js";
import { GAP, ratioOf, rowsOf } from "./rows.js";

const HEIGHT = { phone: 132, desk: 196 };

/** @param {HTMLElement} root */
export class Grid {
  constructor(root) {
    this.rows = el("div", { class: "grid", role: "grid", label: "results", "aria-rowcount": "-1", "aria-multiselectable": "true" });
    this.cells = [];
    this.active = 0;
    this.width = 0;
    root.append(this.rows);
    this.rows.addEventListener("keydown", (event) => this.key(event));
    this.rows.addEventListener("focusin", ({ target }) => this.activate(this.cells.indexOf(target.closest("[role=gridcell]"))));
    new ResizeObserver(([{ contentRect }]) => this.resize(contentRect.width)).observe(this.rows);
    on(["selected"], () => markSelected(this.cells));
    document.addEventListener("picture-closed", ({ detail: { hit, position } }) => {
      if (hit && this.hits?.[position]?.id === hit.id && this.rows.checkVisibility()) this.focus(position);
    });
  }

  /** Show hits from the first one on; those of the same query keep the cell that had the focus. */
  show(hits, { anew = false } = {}) {
    if (anew) this.active = 0;
    const focused = this.rows.contains(document.activeElement) ? this.active : -1;
    this.hits = hits;
    this.rows.replaceChildren();
    this.cells = [];
    this.append(hits, 0);
    this.activate(Math.max(Math.min(this.active, hits.length - 1), 0));
    if (focused >= 0) this.cells[this.active]?.focus({ preventScroll: true });
  }

  /** Show the hits behind those that are there; the last row, which may have been short, is filled first. */
  more(hits) {
    if (this.rows.clientWidth !== this.width) return this.show(hits);
    const last = this.rows.lastElementChild;
    this.hits = hits;
    this.append(hits, this.cells.length - (last?.childElementCount ?? 0), last);
  }

  /** Rows of the hits from the first on; cells that are there stay, so that nobody's press or focus is lost. */
  append(hits, first, row = null) {
    const width = this.rows.clientWidth || innerWidth;
    this.width = width;
    const height = width < 640 ? HEIGHT.phone : HEIGHT.desk;
    for (const members of rowsOf(hits.slice(first), width, height, first)) {
      const cells = members.slice(row?.childElementCount ?? 0).map(({ hit, position }) => card(hit, position, this));
      const taken = members.reduce((sum, { hit }) => sum + ratioOf(hit) * height + GAP, 0);
      const rest = Math.max(width - taken, 0) / height; // a last row that is short keeps the height of the others
      row ??= this.rows.appendChild(el("div", { class: "grid-row", role: "row" }));
      row.style.setProperty("--rest", rest > 0.02 ? rest : 0);
      row.append(...cells);
      this.cells.push(...cells);
      row = null;
    }
    this.activate(this.active);
  }

  resize(width) {
    if (!width || Math.abs(width - this.width) < 1 || !this.hits) return;
    this.show(this.hits);
  }

  /** Make one cell that which Tab reaches, with what can be done to it. */
  activate(position) {
    if (position < 0 || !this.cells.length) return;
    const before = this.cells[this.active];
    this.active = Math.min(position, this.cells.length - 1);
    for (const [cell, index] of [[before, -1], [this.cells[this.active], 0]]) {
      for (const node of cell ? [cell, ...cell.querySelectorAll("button, input")] : []) node.tabIndex = index;
    }
  }

  /** Give the focus to a cell, the first where none is named. */
  focus(position = this.active) {
    this.activate(position);
    this.cells[this.active]?.focus();
    this.cells[this.active]?.scrollIntoView({ block: "nearest" });
  }

  open(position) {
    const more = async () => {
      await loadMore();
      return answer.hits;
    };
    emit("open-picture", { hits: this.hits, position, more, total: answer.total, index: state.index });
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const onCell = event.target.getAttribute("role") === "gridcell";
    const moves = { ArrowRight: 1, ArrowLeft: -1, End: Infinity, Home: -Infinity };
    const act = { m: "like", n: "minus", x: "select" }[event.key.toLowerCase()];
    if (event.key in moves) this.step(this.active + moves[event.key]);
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") this.leap(event.key === "ArrowDown" ? 1 : -1);
    else if (event.key === "Enter" && onCell) this.open(this.active);
    else if (act) this.cells[this.active].querySelector(`[data-act=${act}]`).click();
    else return;
    event.preventDefault();
  }

  step(position) {
    if (position >= this.cells.length - 1) loadMore();
    this.focus(Math.min(Math.max(position, 0), this.cells.length - 1));
  }

  /** The cell above or below, by where their middles are. */
  leap(direction) {
    const cell = this.cells[this.active];
    const row = direction > 0 ? cell.parentElement.nextElementSibling : cell.parentElement.previousElementSibling;
    if (!row) return direction > 0 ? this.step(this.cells.length) : emit("leave-grid");
    const middle = (node) => node.getBoundingClientRect().left + node.getBoundingClientRect().width / 2;
    const near = [...row.querySelectorAll("[role=gridcell]")].sort(
      (one, other) => Math.abs(middle(one) - middle(cell)) - Math.abs(middle(other) - middle(cell)),
    );
    this.focus(this.cells.indexOf(near[0]));
  }
}
