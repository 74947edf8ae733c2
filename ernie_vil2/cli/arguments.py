"""Arguments that several verbs have."""

import argparse
import sys
from pathlib import Path

from ..files.claim import REPLACE
from ..files.run_folder import latest_model


def count(text: str) -> int:
    """A number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def add_run(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """`-c FILE` and `-o KEY=VALUE`: the configuration of a run; `-c` is required where there is no default."""
    told = {"default": default, "help": "YAML file of the run (default: %(default)s)"}
    if default is None:
        told = {"required": True, "help": "YAML file, see configs/"}
    parser.add_argument("-c", "--config", **told)
    parser.add_argument(
        "-o", "--override", action="append", default=[], metavar="KEY=VALUE", help="for example -o train.steps=100"
    )


def add_replace(parser: argparse.ArgumentParser) -> None:
    """`--replace`, which every command has that writes where something may stand."""
    parser.add_argument("--replace", action="store_true", help=REPLACE)


def model_path(text: str) -> str:
    """A model's path; the folder of a run becomes its latest checkpoint, which is told, so that all that is done with
    it, checksums included, is of the same one."""
    found = latest_model(text)
    if found == Path(text):
        return text
    print(f"note: {text} is the folder of a run: its latest checkpoint is taken, {found}", file=sys.stderr)
    return str(found)
