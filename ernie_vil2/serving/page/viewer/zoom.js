/** Zooming and moving one picture inside its frame: by click, wheel, keys, two fingers; a swipe turns the page. */

const CLOSEST = 8;
const STEP = 1.5;
const CLICK = 2.5;
const SWIPE = 60;

/**
 * @param {HTMLElement} frame takes the pointers
 * @param {HTMLElement} picture is moved inside it
 * @param {{turn: (steps: number) => void, changed?: (scale: number) => void}} heard
 * @returns {{reset: () => void, by: (steps: number) => void, scale: () => number}}
 */
export function zoomable(frame, picture, { turn, changed = () => {} }) {
  let view = { scale: 1, x: 0, y: 0 };
  let start = null;
  const pointers = new Map();

  function draw(next) {
    const scale = Math.min(CLOSEST, Math.max(1, next.scale));
    // The picture never leaves its frame by more than its own overhang.
    const reach = (length) => (length * (scale - 1)) / 2;
    const held = (value, most) => Math.min(most, Math.max(-most, value));
    view = { scale, x: held(next.x, reach(frame.clientWidth)), y: held(next.y, reach(frame.clientHeight)) };
    picture.style.transform = scale === 1 ? "" : `translate(${view.x}px, ${view.y}px) scale(${scale})`;
    frame.classList.toggle("zoomed", scale > 1);
    changed(scale);
  }

  function around(point, scale) {
    const box = frame.getBoundingClientRect();
    const [dx, dy] = [point.x - box.left - box.width / 2, point.y - box.top - box.height / 2];
    const bounded = Math.min(CLOSEST, Math.max(1, scale));
    const grown = bounded / view.scale;
    draw({ scale: bounded, x: dx - (dx - view.x) * grown, y: dy - (dy - view.y) * grown });
  }

  const spread = () => {
    const [a, b] = [...pointers.values()];
    return { length: Math.hypot(a.x - b.x, a.y - b.y), x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
  };
  const begin = () => {
    start = { points: pointers.size, view, moved: false };
    if (pointers.size === 2) start.spread = spread();
    else start.at = [...pointers.values()][0];
  };

  frame.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.target.closest("button, video")) return;
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (pointers.size <= 2) begin();
  });
  frame.addEventListener("pointermove", (event) => {
    if (!pointers.has(event.pointerId)) return;
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (pointers.size === 2) {
      start.moved = true;
      around(spread(), start.view.scale * (spread().length / start.spread.length));
      return;
    }
    const [dx, dy] = [event.clientX - start.at.x, event.clientY - start.at.y];
    if (Math.hypot(dx, dy) < 6 && !start.moved) return;
    if (!start.moved) frame.setPointerCapture(event.pointerId);
    start.moved = true;
    if (view.scale > 1) draw({ scale: view.scale, x: start.view.x + dx, y: start.view.y + dy });
  });
  frame.addEventListener("pointerup", (event) => {
    if (!pointers.delete(event.pointerId)) return;
    if (pointers.size) {
      begin();
      start.moved = true;
      return;
    }
    const [dx, dy] = start.at ? [event.clientX - start.at.x, event.clientY - start.at.y] : [0, 0];
    if (!start.moved) around({ x: event.clientX, y: event.clientY }, view.scale > 1 ? 1 : CLICK);
    else if (view.scale === 1 && Math.abs(dx) > SWIPE && Math.abs(dx) > 1.5 * Math.abs(dy)) turn(dx < 0 ? 1 : -1);
  });
  frame.addEventListener("pointercancel", (event) => pointers.delete(event.pointerId));
  frame.addEventListener(
    "wheel",
    (event) => {
      if (event.target.closest("video")) return;
      event.preventDefault();
      around({ x: event.clientX, y: event.clientY }, view.scale * (event.deltaY < 0 ? 1.2 : 1 / 1.2));
    },
    { passive: false },
  );

  return {
    reset: () => draw({ scale: 1, x: 0, y: 0 }),
    by: (steps) => draw({ ...view, scale: view.scale * STEP ** steps }),
    scale: () => view.scale,
  };
}
