/** Light, dark, or as the system has it: an attribute of the document, which the colours follow, says what is in force. */

import { keep, kept } from "./kept.js";
import { on, set, state } from "./state.js";

const THEMES = ["system", "light", "dark"];
const KEPT = "theme";

/** Begin with the theme that was chosen before, and keep what is chosen from now on. */
export function startTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const show = () => {
    const dark = state.theme === "system" ? system.matches : state.theme === "dark";
    document.documentElement.dataset.theme = dark ? "dark" : "light";
  };
  const before = kept(KEPT);
  set({ theme: THEMES.includes(before) ? before : "system" });
  on(["theme"], () => {
    keep(KEPT, state.theme);
    show();
  });
  system.addEventListener("change", show);
  show();
}

/** The next of system, light and dark. */
export function nextTheme() {
  set({ theme: THEMES[(THEMES.indexOf(state.theme) + 1) % THEMES.length] });
}
