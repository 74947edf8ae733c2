/** What narrows a search: a panel of what the index has, the filter line itself, and chips of what is in force. */

import { get, place } from "../core/api.js";
import { el, icon, iconButton, later } from "../core/dom.js";
import { currentIndex, on, set, state } from "../core/state.js";
import { languageOf, quote } from "../core/words.js";
import { choices, dates, kinds, sizes, widths } from "./facet_fields.js";
import { termsOf, without } from "./filter_terms.js";
import { answer, onAnswer } from "./query.js";

const PAUSE = 450;
const SHEET = "(max-width: 760px)";
const SIGNS = { ":": ": ", "=": " = ", ">=": " ≥ ", "<=": " ≤ ", ">": " > ", "<": " < " };

/** The button that opens the panel, and tells how many terms are in force. */
export function filterButton(panel) {
  const count = el("span", { class: "badge number" });
  const button = el(
    "button",
    { type: "button", "aria-expanded": "false", "aria-controls": "filters", onclick: () => panel.toggle() },
    icon("filter"),
    el("span", { words: "filters" }),
    count,
  );
  const show = () => {
    count.textContent = termsOf(state.filter).length || "";
    count.hidden = !state.filter;
  };
  on(["filter"], show);
  button.addEventListener("keydown", (event) => panel.escape(event));
  panel.onToggle = (open) => button.setAttribute("aria-expanded", open);
  panel.opener = button;
  show();
  return button;
}

/** The terms in force, each of which can be taken out. */
export function filterChips(root) {
  const show = () => {
    const terms = termsOf(state.filter);
    root.hidden = !terms.length;
    root.replaceChildren(
      ...terms.map((term, at) => {
        const said = shownTerm(term);
        const chip = el("li", { class: "chip chip-filter" }, el("span", { class: "chip-text", lang: languageOf(said) }, said));
        chip.append(iconButton("close", ["filters.remove", { term: said }], () => set({ filter: without(state.filter, at) })));
        return chip;
      }),
    );
  };
  on(["filter", "language"], show);
  show();
}

function shownTerm({ raw, negated, field, sign, values }) {
  if (!field) return raw;
  return `${negated ? "− " : ""}${field}${SIGNS[sign] ?? ""}${values.join(" | ")}`;
}

/** The panel: at the side of a wide screen, a sheet on a phone. */
export class FilterPanel {
  constructor(root) {
    this.onToggle = () => {};
    this.facets = null;
    this.asked = "";
    this.fields = el("div", { class: "facets" });
    this.fault = el("p", { class: "fault small", role: "alert", id: "filter-fault" });
    this.line = el("input", { type: "text", id: "filter-line", spellcheck: "false", autocomplete: "off", "aria-describedby": "filter-fault" });
    const slow = later(() => set({ filter: this.line.value.trim() }), PAUSE);
    this.line.addEventListener("input", slow);
    this.line.addEventListener("change", () => (slow.cancel(), set({ filter: this.line.value.trim() })));
    const head = el("div", { class: "filters-head" }, el("h2", { words: "filters" }));
    head.append(
      el("button", { type: "button", class: "link", words: "filters.clear", onclick: () => set({ filter: "" }) }),
      iconButton("close", "filters.close", () => this.toggle(false)),
    );
    const written = el("div", { class: "facet" }, el("label", { for: "filter-line", words: "filters.line" }), this.line, this.fault);
    written.append(el("p", { class: "quiet small", words: "filters.line_help" }));
    this.root = el("section", { id: "filters", class: "filters", label: "filters", hidden: true }, head, this.fields, written);
    this.veil = el("div", { class: "filters-veil", hidden: true, onclick: () => this.toggle(false) });
    root.append(this.veil, this.root);
    this.root.addEventListener("keydown", (event) => this.escape(event));
    on(["filter"], () => this.show());
    on(["index", "indexes", "language"], () => this.root.hidden || this.load());
    onAnswer(() => this.judge());
  }

  /** Open or close it. */
  toggle(open = this.root.hidden) {
    this.root.hidden = !open;
    this.veil.hidden = !open;
    this.root.parentElement.classList.toggle("with-filters", open);
    this.onToggle(open);
    if (open) this.load();
    else this.opener?.focus();
  }

  /** Esc closes it where it is meant, and leaves the query alone. */
  escape(event) {
    if (event.key !== "Escape" || this.root.hidden) return;
    event.stopPropagation();
    this.toggle(false);
  }

  async load() {
    const asked = `${state.index} ${currentIndex()?.sequence}`;
    if (asked !== this.asked) {
      this.asked = asked;
      try {
        const facets = await get(place(state.index, "facets"));
        if (asked === this.asked) this.facets = facets;
      } catch {
        this.facets = null; // the line still works, and says what is wrong
      }
    }
    this.show();
  }

  show() {
    if (document.activeElement !== this.line) this.line.value = state.filter;
    if (this.root.hidden) return;
    const focused = this.fields.contains(document.activeElement) ? document.activeElement : null;
    const scrolled = [...this.fields.querySelectorAll(".choices")].map((list) => list.scrollTop);
    const { facets } = this;
    this.fields.replaceChildren(
      ...(facets
        ? [
            kinds(facets),
            choices("tag", "filters.tags", facets.tags),
            choices("folder", "filters.folders", facets.folders),
            dates(facets.dates),
            widths(facets.widest),
            sizes(),
            facets.sources.length > 1 ? choices("source", "filters.sources", facets.sources) : null,
          ].filter(Boolean)
        : []),
    );
    [...this.fields.querySelectorAll(".choices")].forEach((list, at) => (list.scrollTop = scrolled[at] ?? 0));
    if (focused) this.refocus(focused);
  }

  /** Controls are made anew; the one like that which had the focus gets it. */
  refocus({ tagName, type, value, ariaLabel }) {
    const like = [...this.fields.querySelectorAll(tagName)].find(
      (node) => node.type === type && (tagName === "SELECT" ? node.ariaLabel === ariaLabel : node.value === value),
    );
    like?.focus({ preventScroll: true });
  }

  judge() {
    const wrong = answer.phase === "failed" && answer.error.code === "filter";
    quote(this.fault, wrong ? answer.error.message : "");
    if (wrong) this.line.setAttribute("aria-invalid", "true");
    else this.line.removeAttribute("aria-invalid");
    if (wrong && this.root.hidden && !matchMedia(SHEET).matches) this.toggle(true); // a sheet would hide the sentence
  }
}
