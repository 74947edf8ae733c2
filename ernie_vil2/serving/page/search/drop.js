/** Pictures that are dropped anywhere, pasted, or chosen: all are handed to the queue of uploads. */

import { el, emit, icon, iconButton, writes } from "../core/dom.js";

/** Take files in: the queue sends them, and asks about a single one as soon as it is there. */
export function takeFiles(files) {
  for (const file of files) emit("add-upload", { file });
}

/** The button that chooses pictures. */
export function pictureChooser() {
  const field = el("input", { type: "file", accept: "image/*", multiple: true, hidden: true, label: "box.pictures" });
  field.addEventListener("change", () => {
    takeFiles([...field.files]);
    field.value = "";
  });
  return el("span", {}, iconButton("picture", "box.pictures", () => field.click()), field);
}

/** Let pictures be dropped on the whole page and pasted into it; a target is shown while one is held over it. */
export function startDrop() {
  const target = el("div", { class: "drop-target", hidden: true }, icon("upload"), el("p", { words: "drop.here" }));
  document.body.append(target);
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    target.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) target.hidden = true;
  });
  addEventListener("drop", (event) => {
    target.hidden = true;
    if (!holdsFiles(event)) return;
    event.preventDefault();
    takeFiles([...event.dataTransfer.files]);
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length || (writes(event.target) && event.clipboardData.getData("text"))) return;
    event.preventDefault();
    takeFiles(files);
  });
}
