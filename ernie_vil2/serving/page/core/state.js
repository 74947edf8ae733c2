/** What the page shows, as one record that every module reads and listens to. */

/**
 * view: search, compare or duplicates. index: the name of the index that is asked. draft: the text in the search box;
 * minus: whether the draft is what to go away from. parts: the other parts of the query, each {text}, {id, index,
 * thumbnail, name} or {upload, name, preview} with `weight` and `minus`. threshold: a number, the name of a kept one, or
 * null. of: what is looked for. indexes: the records of /api/indexes. selected: "index/id" -> {index, hit}.
 */
export const state = {
  view: "search",
  index: "",
  draft: "",
  minus: false,
  parts: [],
  filter: "",
  threshold: null,
  of: "images",
  indexes: [],
  language: "en",
  theme: "system",
  selected: new Map(),
};

const listeners = [];

/**
 * Take changes over and tell those who listen to one of their keys, once for all of them. A value that is already there
 * is no change; a Map or a list that was changed in place is none either, so give a new one.
 *
 * @param {Object} changes
 * @param {Object} how given to listeners; `{replace: true}` makes no step of the back button
 */
export function set(changes, how = {}) {
  const changed = Object.keys(changes).filter((key) => !same(state[key], changes[key]));
  if (!changed.length) return;
  Object.assign(state, changes);
  for (const { keys, fn } of [...listeners]) {
    if (keys.some((key) => changed.includes(key))) fn(state, changed, how);
  }
}

function same(one, other) {
  return one === other || (Array.isArray(one) && Array.isArray(other) && !one.length && !other.length);
}

/**
 * Call `fn(state, changed keys, how)` when one of `keys` changes.
 *
 * @returns {function(): void} what ends it
 */
export function on(keys, fn) {
  const listener = { keys, fn };
  listeners.push(listener);
  return () => listeners.splice(listeners.indexOf(listener), 1);
}

/** The record of the index that is asked, or undefined before it is known. */
export function currentIndex() {
  return state.indexes.find((index) => index.name === state.index);
}
