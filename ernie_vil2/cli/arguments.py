"""Arguments that several verbs have."""

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from ..config.run import MAX_SEED
from ..errors import ConfigError
from ..files.claim import REPLACE
from ..files.run_folder import latest_model
from ..messages import LONGEST, brief, plain
from ..plugins import load_plugins

Number = TypeVar("Number", int, float)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line that a terminal can show, whatever was typed."""

    def error(self, message: str) -> NoReturn:
        """Print how the command is used and what was wrong, and leave with 2."""
        super().error(brief(message, LONGEST - 80))  # the name of the command comes before it


def between(kind: type[Number], least: Number, most: Number) -> Callable[[str], Number]:
    """What reads a number of a kind within bounds, for `add_argument`; argparse tells what is none."""

    def read(text: str) -> Number:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not -math.inf < value < math.inf:
            said = "whole number" if kind is int else "number"
            raise argparse.ArgumentTypeError(f"{brief(text, 60)!r} is no {said}")
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least:,}")
        if value > most:
            raise argparse.ArgumentTypeError(f"must be at most {most:,}")
        return value

    return read


count = between(int, 1, 10**9)
whole = between(int, -(10**9), 10**9)
number = between(float, -1e18, 1e18)
positive = between(float, 1e-18, 1e18)
seed = between(int, 0, MAX_SEED)


class Plugins(argparse.Action):
    """A list of modules, each imported as it is read: what they bring is known to whatever comes after."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        load_plugins([values])
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), values])


def add_plugin(parser: argparse.ArgumentParser) -> None:
    """`--plugin MODULE`, which every command has that opens a model, a source or a run."""
    told = "Python module of yours with towers, losses, sources or systems (docs/extending.md); may be repeated"
    parser.add_argument("--plugin", dest="plugins", action=Plugins, default=[], metavar="MODULE", help=told)


def add_run(parser: argparse.ArgumentParser, default: str | None = None, plugins: bool = True) -> None:
    """`-c FILE`, `-o KEY=VALUE` and `--plugin`: the configuration of a run; `-c` is required without a default.

    plugins: whether the command can have plugins, which processes of its own would need too.
    """
    told = {"default": default, "help": "a recipe, or a YAML file (default: %(default)s)"}
    if default is None:
        told = {"required": True, "help": "a recipe, as `ernie-vil2 config` lists them, or a YAML file"}
    parser.add_argument("-c", "--config", **told)
    add_overrides(parser, "for example -o train.steps=100")
    if plugins:
        add_plugin(parser)


class Overrides(argparse.Action):
    """A list of KEY=VALUE; a key may not be given anew after it, or a key below it, has been."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        before, key = getattr(namespace, self.dest), key_of(values)
        for other in before:
            if f"{key_of(other)}.".startswith(f"{key}."):
                told = f"-o {brief(other, 120)} and then -o {brief(values, 120)}"
                raise ConfigError(f"{told}: the second one replaces the first; keep one of them")
        setattr(namespace, self.dest, [*before, values])


def key_of(override: str) -> str:
    """The key of KEY=VALUE."""
    return override.partition("=")[0].strip()


def add_overrides(parser: argparse.ArgumentParser, told: str) -> None:
    """`-o KEY=VALUE`, which may be given several times, for different keys."""
    parser.add_argument("-o", "--override", action=Overrides, default=[], metavar="KEY=VALUE", help=told)


def add_replace(parser: argparse.ArgumentParser) -> None:
    """`--replace`, which every command has that writes where something may stand."""
    parser.add_argument("--replace", action="store_true", help=REPLACE)


def add_damaged(parser: argparse.ArgumentParser) -> None:
    """`--damaged skip|keep`: what becomes of pictures that decode only in part."""
    told = "pictures that decode only in part: bad rows (default), or kept as they are"
    parser.add_argument("--damaged", choices=("skip", "keep"), default="skip", help=told)


def add_engine(parser: argparse.ArgumentParser) -> None:
    """`--engine` and `--precision`: what a model computes with; `--plugin`: what it may be made of."""
    told = "auto (default: the fastest for this device), paddle, paddle_inference or openvino (docs/engines.md)"
    parser.add_argument("--engine", default="auto", metavar="E", help=told)
    told = "fp32 (default), bf16, or int8 of a model that ernie-vil2 quantize was run on"
    parser.add_argument("--precision", default="fp32", metavar="P", help=told)
    add_plugin(parser)


def model_path(text: str) -> str:
    """A model's path; the folder of a run becomes its latest checkpoint, which is told, so that all that is done with
    it, checksums included, is of the same one."""
    found = latest_model(text)
    if found == Path(text):
        return text
    print(plain(f"note: {text} is the folder of a run: its latest checkpoint is taken, {found}"), file=sys.stderr)
    return str(found)
