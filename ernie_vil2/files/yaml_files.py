"""YAML of configurations, options and sources: a key that is given twice is an error, and no tag makes an object."""

import os
from typing import Any

import yaml

from ..errors import ConfigError, advice
from .text import read_text

MERGE = "tag:yaml.org,2002:merge"


class KeyTwice(yaml.constructor.ConstructorError):
    """A mapping has a key twice, of which PyYAML would keep the last without a word."""


class UniqueKeys(yaml.SafeLoader):
    """Plain data, where no mapping has a key twice; what `<<` merges in may be given again."""

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


def parse_yaml(text: str) -> Any:
    """What a YAML text says, as plain data; raises yaml.YAMLError."""
    return yaml.load(text, UniqueKeys)


def read_yaml(path: str | os.PathLike) -> Any:
    """A YAML file as plain data; ConfigError names file and line."""
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "reason", error)
        raise ConfigError(
            f"cannot read configuration {path}: {reason}; {advice(error, 'give the path of a YAML file')}"
        ) from None
    try:
        return parse_yaml(text) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        if isinstance(error, KeyTwice):
            raise ConfigError(f"{path}{line}: {error.problem}; keep one of them") from None
        raise ConfigError(
            f"{path}{line}: not valid YAML ({getattr(error, 'problem', error)}); correct that line"
        ) from None


def parse_value(what: str, text: str, mend: str) -> Any:
    """A YAML value from the command line, where `what` names it and `mend` says what to do with text that is none."""
    try:
        return parse_yaml(text)
    except KeyTwice as error:
        key = error.problem.partition(", first")[0]
        raise ConfigError(f"{what}: {key}; keep one of them") from None
    except yaml.YAMLError:
        raise ConfigError(f"{what}{mend}") from None
