/** The indexes of the server, looked at again from time to time: they grow, break and come back while the page is open. */

import { ApiError, get } from "./api.js";
import { later } from "./dom.js";
import { set, state } from "./state.js";

const EVERY = { quiet: 15000, changing: 2500 };
let timer;

/** Ask for the indexes now, and from now on. The first one that can be asked is chosen when the address names none. */
export async function startIndexes() {
  await refreshIndexes();
  document.addEventListener("visibilitychange", () => document.hidden || refreshIndexes());
  document.addEventListener("server", later(({ detail }) => detail.back && refreshIndexes(), 50));
}

/** Look at the indexes again; a server that is not there is told by others. */
export async function refreshIndexes() {
  clearTimeout(timer);
  try {
    const { indexes } = await get("/api/indexes");
    if (JSON.stringify(indexes) !== JSON.stringify(state.indexes)) set({ indexes });
    if (!indexes.some(({ name }) => name === state.index)) {
      const first = indexes.find((index) => index.state === "ready") ?? indexes[0];
      if (first && !state.index) set({ index: first.name }, { replace: true });
    }
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
  const changing = !state.indexes.length || state.indexes.some((index) => index.updating || index.state !== "ready");
  timer = setTimeout(() => (document.hidden ? null : refreshIndexes()), changing ? EVERY.changing : EVERY.quiet);
}
