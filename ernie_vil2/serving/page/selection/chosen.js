/** The pictures that are selected, of whatever index: kept across searches, and across a reload of the page. */

import { set, state } from "../core/state.js";

const KEPT = "selection";

/** Pictures that one selection may hold: as many as the server packs at once. */
export const MOST = 2000;

/** Whether picture `id` of `index` is selected. */
export function isSelected(index, id) {
  return state.selected.has(`${index}/${id}`);
}

/**
 * Select pictures of an index, or leave them.
 *
 * @param {string} index
 * @param {Object[]} hits
 * @param {boolean} wanted
 * @returns {number} how many did not fit any more
 */
export function choose(index, hits, wanted) {
  const selected = new Map(state.selected);
  let left = 0;
  for (const { id, name, folder, thumbnail } of hits) {
    const key = `${index}/${id}`;
    if (!wanted) selected.delete(key);
    else if (selected.size < MOST || selected.has(key))
      selected.set(key, { index, hit: { id, name, folder, thumbnail } });
    else left += 1;
  }
  keep(selected);
  return left;
}

/** Select nothing; what was selected is returned. */
export function clear() {
  const before = state.selected;
  keep(new Map());
  return before;
}

/** Take a selection over, as `clear` returned it. */
export function keep(selected) {
  set({ selected });
  try {
    sessionStorage.setItem(KEPT, JSON.stringify([...selected]));
  } catch {
    // A full or forbidden store costs the selection on a reload, and nothing else.
  }
}

/** The selection as this tab had it before the page was loaded again. */
export function bringBack() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "[]");
    if (kept.length) set({ selected: new Map(kept) });
  } catch {
    sessionStorage.removeItem(KEPT);
  }
}

/** @returns {Map<string, number[]>} the ids selected, by index, in the order of choosing */
export function byIndex() {
  const ids = new Map();
  for (const { index, hit } of state.selected.values()) ids.set(index, [...(ids.get(index) ?? []), hit.id]);
  return ids;
}
