/** How pictures stand in rows: by their known width and height, before any of them has arrived. */

const RATIO = { least: 0.6, most: 2.4, unknown: 1 };
export const GAP = 8;

/** A picture's width by its height, within what a row can show. */
export function ratioOf({ width, height }) {
  return width && height ? Math.min(Math.max(width / height, RATIO.least), RATIO.most) : RATIO.unknown;
}

/** Rows of hits, each [{hit, position}], as wide as `width` at about `height` pixels; the last may be shorter. */
export function rowsOf(hits, width, height, first = 0) {
  const rows = [];
  let row = [];
  let taken = 0;
  hits.forEach((hit, at) => {
    row.push({ hit, position: first + at });
    taken += ratioOf(hit) * height + GAP;
    if (taken >= width) {
      rows.push(row);
      row = [];
      taken = 0;
    }
  });
  return row.length ? [...rows, row] : rows;
}
