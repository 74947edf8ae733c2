/** Light, dark, or as the system has it: an attribute of the document, by which the style sheets choose their colours. */

import { keep, kept } from "./kept.js";
import { on, set, state } from "./state.js";

const THEMES = ["system", "light", "dark"];
const KEPT = "theme";

/** Begin with the theme that was chosen before, and keep what is chosen from now on. */
export function startTheme() {
  const show = () => (document.documentElement.dataset.theme = state.theme);
  const before = kept(KEPT);
  set({ theme: THEMES.includes(before) ? before : "system" });
  on(["theme"], () => {
    keep(KEPT, state.theme);
    show();
  });
  show();
}

/** The next of system, light and dark. */
export function nextTheme() {
  set({ theme: THEMES[(THEMES.indexOf(state.theme) + 1) % THEMES.length] });
}
