/** The query in the address after `#`, so that links can be shared and the back button goes back. Uploads stay out of it. */

import { on, set, state } from "./state.js";

const KEYS = ["view", "index", "draft", "minus", "parts", "filter", "threshold", "of"];
const WEIGHTS = { least: 0.1, most: 10 };
const OF = ["images", "texts", "captions", "tags"];
let written = "";

/** The part of an address that brings this query back. */
export function addressOf({ view, index, draft, minus, parts, filter, threshold, of }) {
  const given = new URLSearchParams();
  if (index) given.set("index", index);
  if (draft) given.set(minus ? "without" : "q", draft);
  for (const part of parts) {
    const value = "text" in part ? `t:${part.text}` : "id" in part ? `i:${part.id}:${part.index}` : null;
    if (value !== null) given.append(part.minus ? "not" : "and", part.weight === 1 ? value : `${part.weight}*${value}`);
  }
  if (filter) given.set("filter", filter);
  if (threshold !== null) given.set("from", threshold);
  if (of !== "images") given.set("of", of);
  return `#/${view}?${given}`;
}

/** The query that an address says; what it says wrongly is left out. */
export function readAddress(hash) {
  const [, view = "search", rest = ""] = /^#\/(\w+)\??(.*)$/s.exec(hash) ?? [];
  const given = new URLSearchParams(rest);
  const from = given.get("from");
  const parts = ["and", "not"].flatMap((name) => given.getAll(name).map((value) => readPart(value, name === "not")));
  return {
    view,
    index: given.get("index") ?? "",
    draft: given.get("without") ?? given.get("q") ?? "",
    minus: given.has("without"),
    parts: parts.filter(Boolean),
    filter: given.get("filter") ?? "",
    threshold: from === null ? null : Number.isFinite(Number(from)) && from !== "" ? Number(from) : from,
    of: OF.includes(given.get("of")) ? given.get("of") : "images",
  };
}

function readPart(value, minus) {
  const [, weight = "1", kind, rest] = /^(?:([\d.]+)\*)?([ti]):(.*)$/s.exec(value) ?? [];
  const given = { weight: Math.min(Math.max(Number(weight) || 1, WEIGHTS.least), WEIGHTS.most), minus };
  if (kind === "t") return { text: rest, ...given };
  const [, id, index] = /^(\d+):(.+)$/s.exec(rest ?? "") ?? [];
  return id && { id: Number(id), index, name: `#${id}`, ...given };
}

/** Keep state and address the same from now on. Typing replaces the last step, everything else makes a new one. */
export function followAddress() {
  const read = () => {
    if (location.hash === written) return;
    written = location.hash;
    const query = readAddress(location.hash);
    set({ ...query, index: query.index || state.index }, { fromAddress: true });
  };
  addEventListener("popstate", read);
  addEventListener("hashchange", read);
  on(KEYS, (now, changed, how) => {
    if (how.fromAddress) return;
    const next = addressOf(now);
    if (next === location.hash) return;
    written = next;
    history[how.replace ? "replaceState" : "pushState"](null, "", next);
  });
  read();
}
