/** Pictures that the person gave: kept by the page, and sent to each index that is asked about them. */

import { ApiError, upload } from "./api.js";

const files = new Map();
const tokens = new Map();
let last = 0;

/** Keep a file. @returns {number} what its parts of a query carry as `upload` */
export function remember(file) {
  files.set(++last, { file, preview: URL.createObjectURL(file) });
  return last;
}

/** The part of a query for a file. */
export function partOf(file) {
  const upload = remember(file);
  return { upload, name: file.name, preview: files.get(upload).preview, weight: 1, minus: false };
}

/** Whether the page still has the file: a link that was shared does not. */
export function knows(id) {
  return files.has(id);
}

/**
 * The token of a kept file at an index; it is sent there when it was not yet.
 *
 * @param {{signal?: AbortSignal, onprogress?: function(number): void}} options
 * @returns {Promise<string>}
 */
export function token(id, index, options = {}) {
  const key = `${id}/${index}`;
  if (!tokens.has(key)) {
    const sent = upload(index, files.get(id).file, options).then((answer) => answer.upload);
    sent.catch(() => tokens.delete(key));
    tokens.set(key, sent);
  }
  return tokens.get(key);
}

/**
 * Ask an index with parts of the page: `send(parts of the API)` is called with uploads as tokens, and once more with new
 * ones when the server does not know them (it began anew, or the index changed its model).
 */
export async function asked(index, parts, send) {
  try {
    return await send(await Promise.all(parts.map((part) => plain(index, part))));
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== "upload_unknown") throw error;
    for (const part of parts) tokens.delete(`${part.upload}/${index}`);
    return send(await Promise.all(parts.map((part) => plain(index, part))));
  }
}

async function plain(index, part) {
  const weight = part.weight === undefined || part.weight === 1 ? {} : { weight: part.weight };
  if ("text" in part) return { text: part.text, ...weight };
  if ("upload" in part) return { upload: await token(part.upload, index), ...weight };
  return { id: part.id, ...(part.index && part.index !== index ? { index: part.index } : {}), ...weight };
}
