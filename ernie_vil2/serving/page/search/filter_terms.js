/** The language of filters, as far as the page writes it: terms between blanks, `field:value`, values between `|`. */

const PLAIN = /^[^\s"|\\]+$/;

/**
 * The terms of a filter, each {raw, negated, field, sign, values}; `field` is "" for what the page cannot read, which is
 * left as it is and judged by the server.
 */
export function termsOf(text) {
  return (text.match(/(?:"(?:[^"\\]|\\.)*"|[^\s"]|")+/g) ?? []).map((raw) => {
    const [, negated = "", field = "", sign = "", rest = ""] = /^(-?)([a-zA-Z]\w*)(?:(<=|>=|[:=<>])(.*))?$/s.exec(raw) ?? [];
    return { raw, negated: negated === "-", field: field.toLowerCase(), sign, values: sign ? valuesOf(rest) : [] };
  });
}

function valuesOf(rest) {
  const values = [""];
  for (const [piece] of rest.matchAll(/"(?:[^"\\]|\\.)*"|\||[^|"]+|"/g)) {
    if (piece === "|") values.push("");
    else values[values.length - 1] += /^".*"$/s.test(piece) ? piece.slice(1, -1).replace(/\\(.)/gs, "$1") : piece;
  }
  return values;
}

/** A term of a field and its values, any of which is enough. */
export function termOf(field, values, sign = ":") {
  return `${field}${sign}${values.map(quoted).join("|")}`;
}

function quoted(value) {
  return PLAIN.test(value) ? value : `"${value.replace(/["\\]/g, "\\$&")}"`;
}

/** The values of the first plain term of a field, [] where there is none. */
export function valuesFor(text, field) {
  return find(text, field)?.values ?? [];
}

/** The first term of a field that is not turned round. */
export function find(text, field) {
  return termsOf(text).find((term) => term.field === field && !term.negated);
}

/** The filter with its term of a field replaced by another, added at the end, or left out ("" or null). */
export function replaced(text, field, term) {
  const terms = termsOf(text);
  const at = terms.findIndex((one) => one.field === field && !one.negated);
  const raws = terms.map(({ raw }) => raw);
  if (at >= 0) raws.splice(at, 1, ...(term ? [term] : []));
  else if (term) raws.push(term);
  return raws.join(" ");
}

/** The filter without the term at a place. */
export function without(text, place) {
  return termsOf(text).map(({ raw }) => raw).filter((_, at) => at !== place).join(" ");
}
