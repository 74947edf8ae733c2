"""The verb `scale` of `bench`: from a measurement and options to tables or the page."""

import argparse
import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...errors import ConfigError, DataError, nearest
from ...files.atomic import atomic_file, reported
from ...files.claim import Claims
from ...files.json_files import read_json, write_json
from ...messages import plain
from ...studies.scaling.cards import CARDS, Assumptions, card_named
from ...studies.scaling.measure import measure, measure_two_ranks
from ...studies.scaling.project import Projection
from ...studies.scaling.report import COMMAND, card_section, document
from ...studies.scaling.view_costs import SIZES
from ...studies.speed.host_sizes import measure_hosts
from ..arguments import add_replace, count, positive, whole
from ..stopping import stoppable

EXAMPLES = """
ernie-vil2 bench scale --card A100
ernie-vil2 bench scale --measure --measured mine.json --write mine.md
"""


def read_measured(path: str | Path, without: str = "") -> dict[str, Any]:
    """A measurement from its file; DataError when there is none, or an older one. without: a part that may lack, host
    or ranks."""
    try:
        content = read_json(path)
        sized = [key for key in ("sizes", "host") if key != without]
        sent = without == "ranks" or ("sums_per_sample" in content["wire"] and "tile" in content["loss"])
        if sent and all(set(SIZES) <= set(content[key]) for key in sized):
            return content
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise DataError(f"{path}: no measurement of ernie-vil2 bench scale; make one with --measure")


def assumptions(texts: Iterable[str]) -> Assumptions:
    """Assumptions with `key=value` replaced; ConfigError for another key or no number."""
    values = {}
    for text in texts:
        key, _, value = text.partition("=")
        known = [field.name for field in dataclasses.fields(Assumptions)]
        if key not in known:
            raise ConfigError(f"--assume {text}: did you mean {nearest(key, known) or known[0]!r}?")
        try:
            values[key] = float(value)
        except ValueError:
            raise ConfigError(f"--assume {text}: write it as key=number") from None
        if not 1e-18 <= values[key] <= 1e18:
            raise ConfigError(f"--assume {text}: the number must be above 0, from 1e-18 to 1e18")
    return dataclasses.replace(Assumptions(), **values)


def measured_anew(part: str, path: str | Path) -> dict[str, Any]:
    """A measurement of all, or that of a file with the host's or the ranks' part of it taken anew."""
    if part == "ranks":
        return {**read_measured(path, part), **measure_two_ranks(print)}
    kept = read_measured(path, part) if part == "host" else measure(print)
    return {**kept, "host": measure_hosts(print)}


@stoppable()
def run(args: argparse.Namespace) -> None:
    """Project the training step to 8 to 4,096 cards from measured values; with --write as a page."""
    claims = Claims(COMMAND, [] if args.measure else [args.measured], args.replace)
    if args.measure:
        claims.file(args.measured)
    claims.file(args.write)
    if args.measure:
        write_json(args.measured, measured_anew(args.measure, args.measured), COMMAND)
    measured, assumed = read_measured(args.measured), assumptions(args.assume)
    cards = {name: card_named(name) for name in args.card or CARDS}
    if args.pairs_per_second:
        if len(cards) > 1:
            raise ConfigError("--pairs-per-second belongs to one --card; name it")
        ((name, card),) = cards.items()
        told = dataclasses.replace(card, pairs_per_second=args.pairs_per_second, source="speed: given; " + card.source)
        cards = {name: told}
    text = document(measured, assumed, args.per_card, args.batch, args.sharding, args.pairs, cards)
    if not args.write:
        print(
            "\n\n".join(
                card_section(Projection(measured, card, assumed), args.per_card, args.batch, args.sharding, args.pairs)
                for card in cards.values()
            )
        )
        return
    with reported(args.write), atomic_file(args.write) as handle:
        handle.write(text.encode("utf-8", "backslashreplace"))
    print(plain(f"wrote {args.write}"))


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `scale` to the verbs of an argument parser."""
    verb = verbs.add_parser("scale", help=run.__doc__, description=run.__doc__, examples=EXAMPLES)
    verb.add_argument("--measured", default="docs/scaling.json", metavar="FILE", help="default: %(default)s")
    told = "measure on this machine first and write that file: all (default), or the host's or ranks' part anew"
    verb.add_argument("--measure", nargs="?", const="all", choices=("all", "host", "ranks"), help=told)
    verb.add_argument("--card", action="append", metavar="NAME", help=f"one of {', '.join(CARDS)}; default: all")
    verb.add_argument("--pairs-per-second", type=positive, metavar="P", help="of a plain ViT-B/16 step on one card")
    verb.add_argument("--per-card", type=count, default=512, metavar="N", help="pairs of a card (default %(default)s)")
    verb.add_argument("--batch", type=count, default=32768, metavar="N", help="the fixed batch (default %(default)s)")
    verb.add_argument("--sharding", type=whole, choices=(0, 1, 2), default=1, help="default: %(default)s")
    verb.add_argument("--pairs", type=positive, default=1.5e9, metavar="N", help="of a training (default %(default)g)")
    verb.add_argument("--assume", action="append", default=[], metavar="KEY=NUMBER", help="change an assumption")
    verb.add_argument("--write", metavar="FILE", help="write the page, for example docs/scaling.md")
    add_replace(verb)
    verb.set_defaults(run=run)
