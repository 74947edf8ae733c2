"""Values of JSON and YAML changed by their types, and the texts that they stand in."""

import copy
import json
import random
from collections.abc import Callable
from typing import Any

import yaml

LONG_NUMBER, DEEP_LIST, DEEP_MAPPING = "<long number>", "<deep list>", "<deep mapping>"
RAW = {
    LONG_NUMBER: "7" * 5000,
    DEEP_LIST: "[" * 30000 + "]" * 30000,
    DEEP_MAPPING: '{"a":' * 5000 + "1" + "}" * 5000,
}
"""{value: how a file spells it, which no writer would}"""
ODD = (
    None, True, False, 0, 1, -1, 2, 3, 255, 65536, -(1 << 31), 1 << 31, (1 << 53) + 1, 1 << 63, 1 << 64, 10**30,
    -(10**400),
    0.0, -0.0, 0.5, 1.5, 1e-320, 1e308, -1e308, float("nan"), float("inf"), float("-inf"),
    "", " ", "0", "1e4", "nan", "x" * 3000, "\x00", "\x1b[2J", "\u202e", "\ufeff", "a\nb", "猫" * 200, "../..", "/",
    ".", "~", "%s{0}",
    [], {}, [[]], [None], [1, 2, 3], ["a"], {"": 1}, {"kind": "tar"}, {"a": {"b": {}}}, [[0, 0, 9, 9]], [0] * 2000,
    LONG_NUMBER, DEEP_LIST, DEEP_MAPPING,
)  # fmt: skip


def places(value: Any, place: tuple = ()) -> list[tuple]:
    """The paths of all values inside of one."""
    found = [place]
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        found += places(item, (*place, key))
    return found


def odd_near(rng: random.Random, value: Any) -> Any:
    """Another value, as often as not of the same type."""
    if rng.randrange(2):
        if isinstance(value, bool):
            return not value
        if isinstance(value, (int, float)) and abs(value) < 1e15:
            return rng.choice(
                (value + 1, value - 1, -value, value * 2, value * 1000, float(value), str(value), value + 0.5, [value])
            )
        if isinstance(value, str):
            return rng.choice(
                (
                    value + " ",
                    value.upper(),
                    value[:-1],
                    value + value,
                    value + "\x00",
                    [value],
                    value.encode().hex(),
                    "../" + value,
                    value + "/",
                )
            )
        if isinstance(value, list):
            return rng.choice(
                (
                    value + value,
                    value[:-1],
                    [value],
                    value[::-1],
                    {str(place): item for place, item in enumerate(value)},
                    [*value, None],
                )
            )
        if isinstance(value, dict):
            return rng.choice(
                ([value], list(value), {**value, "extra": 1}, {str(key) + "x": item for key, item in value.items()})
            )
    return copy.deepcopy(rng.choice(ODD))


def changed_value(rng: random.Random, value: Any) -> Any:
    """A value with one to three places replaced, taken out, renamed or added."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        place = rng.choice(places(value))
        if not place:
            if rng.randrange(8) == 0:
                value = odd_near(rng, value)
            continue
        parent = value
        for key in place[:-1]:
            parent = parent[key]
        key = place[-1]
        way = rng.randrange(10)
        if way == 0:
            del parent[key]
        elif way == 1 and isinstance(parent, dict):
            name = rng.choice((f"{key}s", str(key)[:-1], "", "\x00", 1, "kind", "path", "__class__", str(key).upper()))
            parent[str(name)] = parent.pop(key)
        elif way == 2 and isinstance(parent, dict):
            parent[str(rng.choice(("extra", "kind", "path", "1", "weight")))] = odd_near(rng, parent[key])
        else:
            parent[key] = odd_near(rng, parent[key])
    return value


def json_text(value: Any) -> str:
    """JSON of a value, with what only a damaged file holds."""
    text = json.dumps(value, ensure_ascii=False)
    for marker, spelt in RAW.items():
        text = text.replace(f'"{marker}"', spelt)
    return text


def yaml_text(value: Any) -> str:
    """YAML of a value, with what only a damaged file holds."""
    text = yaml.safe_dump(value, allow_unicode=True, sort_keys=False)
    for marker, spelt in RAW.items():
        text = text.replace(marker, spelt)
    return text


def spoilt_text(rng: random.Random, text: str) -> str:
    """A text with a key twice, a mark of YAML or JSON out of place, or a line moved."""
    lines = text.split("\n")
    way, at = rng.randrange(6), rng.randrange(len(lines))
    if way == 0:
        lines.insert(at, lines[at])
    elif way == 1:
        lines[at] = (
            rng.choice(
                (
                    " ",
                    "\t",
                    "- ",
                    "? ",
                    "&a ",
                    "*a ",
                    "!!python/object/apply:os.getcwd [] ",
                    "!!binary ",
                    "<<: ",
                    "!!set ",
                    "#",
                )
            )
            + lines[at]
        )
    elif way == 2:
        lines[at] += rng.choice(
            (" :", " : x", "}", "]", ",", '"', "'", " &a", " *b", " # note", "\x85", "\u2028", "\x0b", "\x07")
        )
    elif way == 3:
        lines.insert(
            at,
            rng.choice(
                (
                    "---",
                    "...",
                    "%YAML 9.9",
                    "%TAG ! x",
                    "a: &a [*a]",
                    "a: &a {b: *a}",
                    "x: 2020-13-45",
                    "x: 1:99:99",
                    "x: !!float abc",
                    "x: 0x",
                    "x: 0b2",
                    "x: 1_000",
                    "=: 1",
                    "[]: 1",
                    "{}: 1",
                    "? {a: 1}\n: 2",
                    "null: 1",
                    "1: 2",
                    "x: !!timestamp 9999-99-99",
                    bombs(),
                )
            ),
        )
    elif way == 4:
        place = rng.randrange(len(text) + 1)
        return text[:place] + rng.choice("{}[]:,\"'\\&*!|>%@`#\t\n\x00\ufeff") + text[place:]
    else:
        place = rng.randrange(len(text) + 1)
        return text[:place] + text[place + rng.choice((1, 2, 30)) :]
    return "\n".join(lines)


def bombs() -> str:
    """Aliases of aliases: a few hundred bytes that stand for a billion values."""
    rows = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"l{row}: &l{row} [{', '.join([f'*l{row - 1}'] * 10)}]" for row in range(1, 10)]
    return "\n".join(rows)


ENCODINGS = (
    "gbk",
    "gb18030",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "latin-1",
    "utf-8-sig",
    "big5",
    "utf-7",
    "shift-jis",
)


def encoded(rng: random.Random, text: str) -> bytes:
    """UTF-8 as a rule; else what other programs save."""
    codec = rng.choice(ENCODINGS) if rng.randrange(6) == 0 else "utf-8"
    ends = rng.choice(("\n", "\n", "\n", "\n", "\r\n", "\r"))
    return text.replace("\n", ends).encode(
        codec, "surrogatepass" if codec.startswith("utf-") and codec != "utf-7" and codec != "utf-8-sig" else "replace"
    )


def spoilt_json(rng: random.Random, value: Any, spell: Callable[[Any], str] = json_text) -> bytes:
    """The bytes of a file of JSON (or, by `spell`, of YAML) whose value or text is damaged."""
    text = spell(changed_value(rng, value) if rng.randrange(4) else value)
    if rng.randrange(4) == 0:
        text = spoilt_text(rng, text)
    return encoded(rng, text)
