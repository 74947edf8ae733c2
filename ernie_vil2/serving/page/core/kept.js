/** What this browser remembers of a person's choices; where it may not, each visit begins anew. */

/** @returns {string|null} what was kept under a name */
export function kept(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

/** Keep a text under a name, where that is allowed and there is room. */
export function keep(name, text) {
  try {
    localStorage.setItem(name, text);
  } catch {
    // It is chosen again next time.
  }
}
