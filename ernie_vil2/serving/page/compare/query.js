/** The query of the page put to any index: a picture of one index goes to another model as what it looks like. */

import { place, post } from "../core/api.js";
import { state } from "../core/state.js";
import { asked, partOf } from "../core/uploads.js";
import { thumbnail } from "../viewer/thumbnail.js";

const carried = new Map(); // "index/id" -> the upload that a picture became

/** Whether a query asks for anything, rather than browses. */
export function describes({ draft, minus, parts }) {
  return Boolean((draft.trim() && !minus) || parts.some((part) => !part.minus));
}

/** Whether an index is worth comparing with another: both answer, by models that are not the same. */
export function fits(one, other) {
  return one.state === "ready" && one.can_encode && one.model?.digest !== other?.model?.digest;
}

/**
 * @param {string} index
 * @param {{draft: string, minus: boolean, parts: Object[], filter: string}} query
 * @param {number} k
 * @param {AbortSignal} signal
 * @returns {Promise<{hits: Object[]}>}
 */
export async function ask(index, { draft, minus, parts, filter }, k, signal) {
  const typed = draft.trim() ? [{ text: draft.trim(), weight: 1, minus }] : [];
  const all = await Promise.all([...typed, ...parts].map((part) => partFor(part, index, signal)));
  const send = (plain) => {
    const side = (wanted) => plain.filter((_, position) => all[position].minus === wanted);
    return post(place(index, "search"), { parts: side(false), minus: side(true), k, filter }, { signal });
  };
  return asked(index, all, send);
}

/** Indexes of one model share vectors; between two models the kept thumbnail is sent and encoded anew. */
async function partFor(part, index, signal) {
  if (!("id" in part) || part.index === index || digest(part.index) === digest(index)) return part;
  const key = `${part.index}/${part.id}`;
  if (!carried.has(key)) {
    const address = thumbnail({ thumbnail: place(part.index, "pictures", part.id, "thumbnail") }, 640);
    const bytes = await (await fetch(address, { signal })).blob();
    carried.set(key, partOf(new File([bytes], part.name ?? key, { type: bytes.type })).upload);
  }
  return { upload: carried.get(key), weight: part.weight, minus: part.minus };
}

function digest(name) {
  return state.indexes.find((index) => index.name === name)?.model?.digest;
}
