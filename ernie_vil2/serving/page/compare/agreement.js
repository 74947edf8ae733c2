/** How far the answers of two indexes agree: which of their first pictures are the same file. */

/**
 * What makes two hits of different indexes one picture: the same name in the same folder.
 * Moments of a video count each for itself.
 * @param {object} hit
 * @returns {string}
 */
export function sameness(hit) {
  return JSON.stringify([hit.folder ?? "", hit.name ?? "", hit.time ?? null]);
}

/**
 * @param {object[]} hits best first
 * @returns {Map<string, number>} the rank of each picture, from 1; of a picture found twice, the better one
 */
export function ranks(hits) {
  const found = new Map();
  hits.forEach((hit, position) => {
    const key = sameness(hit);
    if (!found.has(key)) found.set(key, position + 1);
  });
  return found;
}

/**
 * @param {object[]} left best first
 * @param {object[]} right best first
 * @param {number} depth how many of each side are looked at
 * @returns {{both: number, of: number}} pictures in both, of as many as the longer side has up to `depth`
 */
export function agreement(left, right, depth) {
  const first = ranks(left.slice(0, depth));
  const second = ranks(right.slice(0, depth));
  const both = [...first.keys()].filter((key) => second.has(key)).length;
  return { both, of: Math.max(first.size, second.size) };
}
