/**
 * The views of the page, of which one is seen, and what lies over all of them. Their modules, as main.js reaches them,
 * export `mount(root, context)`, and may return {shown(), hidden()}.
 */

export const VIEWS = [
  { name: "search", icon: "search", words: "view.search", module: "./search/view.js" },
  { name: "compare", icon: "columns", words: "view.compare", module: "./compare/view.js" },
  { name: "duplicates", icon: "copies", words: "view.duplicates", module: "./duplicates/view.js" },
];

export const OVERLAYS = [
  { name: "viewer", module: "./viewer/view.js" },
  { name: "selection", module: "./selection/tray.js" },
  { name: "uploads", module: "./uploads/queue.js" },
];
