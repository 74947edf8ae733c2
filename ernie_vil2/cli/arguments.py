"""Arguments that several verbs have."""

import argparse
import inspect
import math
import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from ..config.run import MAX_SEED
from ..errors import ConfigError, nearest
from ..files.claim import REPLACE
from ..files.run_folder import latest_model
from ..messages import LONGEST, brief, plain
from ..plugins import load_plugins

Number = TypeVar("Number", int, float)
WIDEST = 100
"""Columns of a help text, on a terminal that has as many"""


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Help of at most 100 columns; of descriptions, paragraphs with indented lines stay as they are."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=min(shutil.get_terminal_size().columns, WIDEST) - 2)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        filled = [
            part if "\n " in f"\n{part}" else textwrap.fill(part, width, break_on_hyphens=False)
            for part in text.split("\n\n")
        ]
        return "\n\n".join(filled)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line that a terminal can show, whatever was typed.

    examples: command lines, as its help shows them; a remark begins with #, and \\ ends a line that goes on.
    """

    def __init__(self, *, description: str | None = None, examples: str = "", **named: Any) -> None:
        examples = examples.strip()
        if examples:
            named["epilog"] = "examples:\n" + textwrap.indent(examples, "  ")
        super().__init__(description=inspect.cleandoc(description or ""), formatter_class=HelpFormatter, **named)
        self.examples = examples.replace("\\\n", " ").split("\n")

    def error(self, message: str) -> NoReturn:
        """Print what was wrong and what explains the command, in one line, and leave with 2."""
        message = brief(message, LONGEST - 160)
        end = "" if message.endswith("?") else ";"
        told = "has examples" if any(self.examples) else "explains it"
        self.exit(2, f"{self.prog}: error: {message}{end} `{self.prog} --help` {told}\n")

    def parse_known_args(
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """What is given, with nothing left: what no argument takes is an error of the verb that it was given to."""
        found, left = super().parse_known_args(args, namespace)
        if left:
            self.error(self.untaken(left[0]))
        return found, left

    def untaken(self, word: str) -> str:
        """What is wrong with a word that no argument takes."""
        known, shown = self._option_string_actions, brief(word, 80)
        if word.startswith("-"):
            name = word.partition("=")[0]
            close = nearest(name, known.keys() - {"-h", "--help"})
            return f"there is no option {brief(name, 80)}" + (f"; did you mean {close}?" if close else "")
        if "--override" in known:
            return f"{shown!r} is one too many here; a setting is written as -o KEY=VALUE"
        return f"{shown!r} is one too many here; write what belongs together in quotes, and options last"


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


def plugin(name: str) -> str:
    """The name of a module, imported as it is read: what it brings is known to whatever comes after."""
    load_plugins([name])
    return name


def add_plugin(parser: argparse.ArgumentParser) -> None:
    """`--plugin MODULE`, which every command has that opens a model, a source or a run."""
    told = "Python module of yours with towers, losses, sources or systems (docs/extending.md); may be repeated"
    parser.add_argument(
        "--plugin", dest="plugins", action="append", type=plugin, default=[], metavar="MODULE", help=told
    )


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
