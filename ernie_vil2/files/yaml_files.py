"""YAML of configurations, options and sources: plain data, or one sentence on what is wrong.

A key that is given twice is an error, and no tag makes an object. Words are what they look like, as in YAML 1.2: `012`,
`1:30`, `2024-01-01`, `no` and `off` are texts, which YAML 1.1 takes for 10, 90, a date and false; `1e-4` is a number.
"""

import json
import os
import re
from typing import Any

import yaml

from ..errors import ConfigError, advice
from ..messages import brief, quoted
from ..schema import MOST_LEVELS, MOST_VALUES
from .text import read_text

MERGE = "tag:yaml.org,2002:merge"
TAGS = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "seq", "map")}
MOST_BYTES, MOST_DIGITS = 1 << 20, 100
"""Of a text, and characters of a number"""
TRUTH = re.compile("true|True|TRUE|false|False|FALSE")
WHOLE = re.compile("[-+]?(?:0|[1-9][0-9_]*)|0x[0-9a-fA-F_]+|0b[01_]+")
REAL = re.compile(
    r"[-+]?(?:(?:(?:0|[1-9][0-9_]*)(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))"
    r"|\.(?:nan|NaN|NAN)"
)


class Unreadable(yaml.constructor.ConstructorError):
    """Valid YAML that is no plain data of a sensible size; `fix` says what to do."""

    fix = "correct that"


class KeyTwice(Unreadable):
    """A mapping has a key twice, of which PyYAML would keep the last without a word."""

    fix = "keep one of them"


class PlainData(yaml.SafeLoader):
    """Plain data of bounded size, where no mapping has a key twice; what `<<` merges in may be given again."""

    yaml_implicit_resolvers = {}

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.level, self.count = 0, 0
        self.sizes: dict[int, tuple[int, int]] = {}  # of every whole node: values in it, levels of them

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node:
        event = self.peek_event()
        self.level, self.count = self.level + 1, self.count + 1
        self.limit(self.count, self.level, event)
        node = super().compose_node(parent, index)
        self.level -= 1
        if id(node) not in self.sizes:
            if isinstance(event, yaml.AliasEvent):
                problem = f"the anchor {event.anchor!r} holds itself"
                raise Unreadable(None, None, problem, event.start_mark)
            self.sizes[id(node)] = self.size(node)
        self.limit(*self.sizes[id(node)], event)
        return node

    def size(self, node: yaml.Node) -> tuple[int, int]:
        """How many values are in a node, itself and what aliases repeat with them, and how many levels of them."""
        inner = [] if isinstance(node, yaml.ScalarNode) else node.value
        parts = [part for item in inner for part in (item if isinstance(item, tuple) else (item,))]
        sizes = [self.sizes[id(part)] for part in parts]
        return 1 + sum(count for count, _ in sizes), 1 + max((levels for _, levels in sizes), default=0)

    def limit(self, count: int, levels: int, event: yaml.Event) -> None:
        """Refuse what is too large before anything is made of it."""
        if levels > MOST_LEVELS:
            raise Unreadable(None, None, f"over {MOST_LEVELS} values are inside of each other", event.start_mark)
        if count > MOST_VALUES:
            problem = f"there are over {MOST_VALUES:,} values, what aliases repeat counted"
            raise Unreadable(None, None, problem, event.start_mark)

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        # Here, since later PyYAML has written into the node what `<<` brings.
        node, first = super().compose_mapping_node(anchor), {}
        for key_node, _ in node.value:
            if key_node.tag != MERGE and isinstance(key_node, yaml.ScalarNode):
                before = first.setdefault(self.construct_object(key_node), key_node)
                if before is not key_node:
                    problem = f"the key {key_node.value!r} is given twice, first on line {before.start_mark.line + 1}"
                    raise KeyTwice(None, None, problem, key_node.start_mark)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        if node.tag not in TAGS and node.tag != MERGE:
            problem = f"the tag {node.tag.replace('tag:yaml.org,2002:', '!!')} makes no plain data"
            raise Unreadable(None, None, problem, node.start_mark)
        if isinstance(node, yaml.ScalarNode) and node.tag.endswith((":seq", ":map")):
            raise Unreadable(None, None, f"{node.value!r} has the tag of several values", node.start_mark)
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError) as error:  # of int(), float() and PyYAML's table of truth values
            if isinstance(node, yaml.ScalarNode):
                kind = node.tag.rpartition(":")[2]
                raise Unreadable(None, None, f"{node.value!r} is no {kind}", node.start_mark) from error
            raise

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        """A number written as `WHOLE` or `REAL` say: PyYAML would also take `!!int 012` and `!!int 1:30`."""
        text, whole = self.construct_scalar(node), node.tag.endswith("int")
        if not (WHOLE if whole else REAL).fullmatch(text):
            raise ValueError(text)
        if len(text) > MOST_DIGITS:
            raise Unreadable(None, None, f"a number has {len(text):,} characters", node.start_mark)
        if not whole:
            return self.construct_yaml_float(node)
        return int(text.replace("_", ""), {"0x": 16, "0b": 2}.get(text[:2], 10))


for name, pattern, first in (
    ("null", re.compile("~|null|Null|NULL|"), ["~", "n", "N", ""]),
    ("bool", TRUTH, list("tTfF")),
    ("int", WHOLE, list("-+0123456789")),
    ("float", REAL, list("-+.0123456789")),
    ("merge", re.compile("<<"), ["<"]),
):
    PlainData.add_implicit_resolver(f"tag:yaml.org,2002:{name}", re.compile(rf"(?:{pattern.pattern})\Z"), first)
PlainData.add_constructor("tag:yaml.org,2002:int", PlainData.construct_number)
PlainData.add_constructor("tag:yaml.org,2002:float", PlainData.construct_number)
PlainData.add_constructor(MERGE, PlainData.construct_yaml_str)


def parse_yaml(text: str) -> Any:
    """What a YAML text says, as plain data; raises yaml.YAMLError, of which Unreadable are those of valid YAML."""
    if len(text) > MOST_BYTES:
        raise Unreadable(None, None, f"there are over {MOST_BYTES:,} characters")
    try:
        return yaml.load(text, PlainData)
    except RecursionError:
        raise Unreadable(None, None, "too many values are inside of each other") from None


def flow_text(text: str) -> str:
    """`text`, of printable characters, as a value in a mapping in braces: in quotes where these are needed."""
    try:
        same = parse_yaml(f"{{key: {text}}}") == {"key": text}
    except yaml.YAMLError:
        same = False
    return text if same else json.dumps(text, ensure_ascii=False)


def told(error: yaml.YAMLError, text: str) -> tuple[str, int | None]:
    """What is wrong with a text, as a clause, and the line where it is known."""
    if isinstance(error, yaml.reader.ReaderError):
        return f"the character U+{error.character:04X} cannot be there", text.count("\n", 0, error.position) + 1
    mark = getattr(error, "problem_mark", None)
    return getattr(error, "problem", None) or str(error), mark.line + 1 if mark else None


def read_yaml(path: str | os.PathLike) -> dict[Any, Any]:
    """The keys and values of a YAML file, none of an empty one; ConfigError names file and line."""
    try:
        text = read_text(path, MOST_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "reason", error)
        raise ConfigError(
            f"cannot read configuration {path}: {reason}; {advice(error, 'give the path of a YAML file')}"
        ) from None
    try:
        data = parse_yaml(text)
    except yaml.YAMLError as error:
        problem, line = told(error, text)
        place = f"{path}, line {line}" if line else path
        if isinstance(error, Unreadable):
            raise ConfigError(f"{place}: {problem}; {error.fix}") from None
        raise ConfigError(f"{place}: not valid YAML ({problem}); correct that line") from None
    if data is not None and not isinstance(data, dict):
        raise ConfigError(f"{path}: the file must hold keys and values, not {quoted(data)}; write `key: value` lines")
    return data or {}


def parse_value(what: str, text: str, mend: str) -> Any:
    """A YAML value from the command line, where `what` names it and `mend` says what to do with text that is none."""
    try:
        return parse_yaml(text)
    except Unreadable as error:
        raise ConfigError(f"{brief(what, 120)}: {error.problem.partition(', first')[0]}; {error.fix}") from None
    except yaml.reader.ReaderError as error:
        raise ConfigError(f"{brief(what, 120)}: {told(error, text)[0]}; leave it out") from None
    except yaml.YAMLError:
        raise ConfigError(f"{brief(what, 120)}{mend}") from None
