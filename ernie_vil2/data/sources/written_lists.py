"""Lists that a program wrote into a cell as text: JSON's and Python's, and NumPy's, which has no commas.

A table has no lists, so `['一只狗', '两只狗']` is what pandas makes of one. Read as a caption it would teach brackets.
"""

import ast
import json
import re
import warnings

LIST = re.compile(r"""\s*(array\(\s*)?\[\s*[uUbBrR]?['"]""")
BEGIN = re.compile(r"\s*(array\(\s*)?[\[(]")
TUPLE = re.compile(r"""\s*\(\s*['"]""")
EMPTY = re.compile(r"\s*(array\(\s*)?\[\s*\]")
ITEM = re.compile(r"""\s*(?:[uU]?('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"))""", re.DOTALL)
BETWEEN = re.compile(r"(\s*,)?\s*")
END = re.compile(r"[\])](?:\s*,\s*dtype=[\w<>='\"]+)?\s*\)?\s*$")
MAX_CELL = 1 << 20


def written_list(text: str) -> list[str] | None:
    """The strings of a list, or None for a text that is none. ValueError for the beginning of a list without the rest.

    A caption may begin with a bracket, as in `[图] 一只猫`: what counts is a bracket and a quote. One that begins with
    a parenthesis and a quote is a tuple only where all of it is.
    """
    if EMPTY.fullmatch(text):
        return []
    if TUPLE.match(text):
        try:
            found = strings(text)
        except ValueError:
            return None
        return found if len(found) > 1 or text.rstrip(") \n").endswith(",") else None
    return strings(text) if LIST.match(text) else None


def strings(text: str) -> list[str]:
    """The strings in brackets, with commas between all of them or between none; ValueError for anything else."""
    if len(text) > MAX_CELL:
        raise ValueError(f"it has over {MAX_CELL:,} characters")
    found, commas, at = [], set(), BEGIN.match(text).end()
    while not END.match(text, at):
        item = ITEM.match(text, at)
        if not item:
            raise ValueError(f"no string in quotes follows at character {at + 1}")
        found.append(literal(item.group(1)))
        between = BETWEEN.match(text, item.end())
        at = between.end()
        if not END.match(text, at):
            commas.add(bool(between.group(1)))
            if at == len(text):
                raise ValueError("its closing bracket is missing")
            if not between.group():
                raise ValueError(f"nothing parts its strings at character {at + 1}")
    if len(commas) > 1:
        raise ValueError("some of its strings have no comma between them")
    return found


def literal(quoted: str) -> str:
    """The string that JSON or Python wrote in quotes."""
    if quoted[0] == '"':
        try:
            return json.loads(quoted, strict=False)
        except ValueError:
            pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # an escape that Python does not know
            return ast.literal_eval(quoted if "\n" not in quoted else f"{quoted[0] * 2}{quoted}{quoted[0] * 2}")
    except (ValueError, SyntaxError, SyntaxWarning, DeprecationWarning):
        raise ValueError(f"{quoted[:30]} is no string") from None
