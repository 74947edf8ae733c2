/** Signing in, where the server asks for a key: from the address (`#key=...`, which is taken out of it) or by hand. */

import { ApiError, get, post } from "./api.js";
import { el, icon } from "./dom.js";
import { quote } from "./words.js";

/** Let the person in. @returns {Promise<void>} once the server answers this page */
export async function startSession(main) {
  const [, key] = /^#key=(.+)$/.exec(location.hash) ?? [];
  if (key) history.replaceState(null, "", location.pathname);
  try {
    if (key) await post("/api/session", { key: plain(key) });
    const { needs_key, signed_in } = await get("/api/session");
    if (needs_key && !signed_in) await signIn(main);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.code === "wrong_key") await signIn(main, error.message);
  }
  document.addEventListener("key-needed", () => document.querySelector(".sign-in") ?? signIn(main).then(() => location.reload()));
}

/** A key as it is, whether or not the address has its signs as `%XX`. */
function plain(key) {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}

function signIn(main, told = "") {
  return new Promise((done) => {
    const field = el("input", { type: "password", id: "key", autocomplete: "current-password", required: true });
    const fault = el("p", { class: "fault", role: "alert" });
    quote(fault, told);
    const form = el(
      "form",
      { class: "sign-in" },
      icon("lock"),
      el("h1", { words: "key.title" }),
      el("p", { class: "quiet", words: "key.what" }),
      el("label", { for: "key", words: "key.label" }),
      field,
      fault,
      el("button", { type: "submit", class: "primary", words: "key.enter" }),
    );
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        await post("/api/session", { key: field.value });
        form.remove();
        done();
      } catch (error) {
        quote(fault, error.message);
        field.select();
      }
    });
    main.prepend(form);
    field.focus();
  });
}
