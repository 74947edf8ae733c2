"""Find the score from which two things are the same, from pairs that you label.

FILE has rows left, right, label. The threshold that reaches the wanted precision is kept in the index, for
`ernie-vil2 search --threshold same`; without an index it is printed alone.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import DataError
from ...evaluation.labelled_pairs import read_labelled
from ...evaluation.metrics.wanted_precision import Choice, choose
from ...files.claim import Claims
from ...files.json_files import write_json
from ...messages import counted, plain
from ..arguments import Parser, add_plugin, add_replace, between, model_path
from ..progress import encoded

if TYPE_CHECKING:
    from ...inference.model import Model
    from ...search.store.snapshot import Snapshot

UNSURE = 3.0
"""Points below the wanted precision down to which the interval may reach without a remark"""

EXAMPLES = """
ernie-vil2 eval calibrate photos.index --pairs labels.csv
ernie-vil2 eval calibrate photos.index --pairs labels.csv --of text-image --name fits
ernie-vil2 eval calibrate --model output/try --pairs labels.csv --precision 99
"""


def parser() -> Parser:
    """The arguments."""
    from ...search.calibration import KINDS

    found = Parser(prog="ernie-vil2 eval calibrate", description=__doc__, examples=EXAMPLES)
    found.add_argument("index", nargs="?", metavar="INDEX", help="folder of an index, which the threshold is kept in")
    found.add_argument("--pairs", required=True, metavar="FILE", help="rows left, right, label: tabs, commas or JSON")
    found.add_argument("--of", choices=tuple(KINDS), default="image-image", help="default: %(default)s")
    found.add_argument(
        "--precision", type=between(float, 1, 100), default=95.0, metavar="P", help="wanted, in percent; default: 95"
    )
    found.add_argument("--name", default="same", help="of the threshold in the index; default: %(default)s")
    found.add_argument("--model", type=model_path, metavar="M", help="without an index, or where its model lies now")
    found.add_argument("--vocab", metavar="FILE", help="vocabulary of a .pdparams, without an index")
    found.add_argument("--json", metavar="OUT", help="write what is known of the threshold to this file")
    add_plugin(found)
    add_replace(found)
    return found


def main(argv: list[str] | None = None) -> None:
    """Print the threshold that reaches a precision on labelled pairs, and keep it with the index."""
    from ...search.calibration import PairVectors, checked_name, threshold_record
    from ...search.store.snapshot import open_snapshot

    arguments = parser()
    args = arguments.parse_args(argv)
    if not (args.index or args.model):
        arguments.error("name an index, or a model with --model M")
    if args.vocab and args.index:
        arguments.error("--vocab goes without an index, which knows that of its model")
    name = checked_name(args.name)
    Claims("eval calibrate", [args.index, args.pairs, args.model, args.vocab], args.replace).file(args.json)
    pairs = read_labelled(args.pairs)
    snapshot = open_snapshot(args.index) if args.index else None
    part = snapshot and snapshot.part("image")
    vectors = PairVectors(Path(args.pairs).parent, loader(args, snapshot), part, encoded("pictures"))
    choice = choose(vectors.scores(pairs, args.of), pairs.same, args.precision)
    print(told(choice), flush=True)
    record = threshold_record(choice, args.of, snapshot.manifest.model if snapshot else {}, pairs.sha256)
    if args.index:
        keep(args.index, name, record)
        print(plain(f"kept in {args.index} as {name}: --threshold {name}"))
    if args.json:
        write_json(args.json, record, "eval calibrate")


def loader(args: argparse.Namespace, snapshot: "Snapshot | None") -> "Callable[[], Model]":
    """What loads the model: that of the index, or the one that is named without an index."""
    import ernie_vil2

    from ...search.query.query_model import QueryModel

    if snapshot is None:
        return partial(ernie_vil2.load, args.model, args.vocab)
    return QueryModel(snapshot.manifest.model, snapshot.manifest.width, args.model).loaded


def keep(folder: str, name: str, record: dict[str, Any]) -> None:
    """Put a threshold into an index; DataError where the index has become one of another model meanwhile."""
    from ...search.store.writer import open_writer

    with open_writer(folder) as writer:
        if writer.snapshot.manifest.model.get("digest", "") != record["model"]:
            raise DataError(f"{folder} was built anew with another model meanwhile; repeat the command")
        writer.set_threshold(name, record)
        writer.commit()


def told(choice: Choice) -> str:
    """What a person wants to know of a threshold."""
    found, held_out = choice.decision, choice.held_out
    lines = [
        f"{counted(choice.right + choice.wrong, 'pair')}, {choice.right:,} of them the same",
        f"threshold {found.threshold:.3f}: precision {shown(found.precision, choice.precision)}, "
        f"recall {shown(found.recall, choice.recall)}",
        f"if as many pairs were the same as not, the precision would be {found.balanced_precision:.1f} %",
    ]
    if held_out.precision is not None:
        lines.append(
            f"on pairs that had no part in its choice: precision {held_out.precision:.1f} %, recall "
            f"{held_out.recall:.1f} %; thresholds from {held_out.lowest:.3f} to {held_out.highest:.3f}"
        )
    if choice.precision[0] < choice.wanted - UNSURE:
        lines.append(
            f"note: with so few pairs the precision may as well be {choice.precision[0]:.0f} %; label more of those "
            "with scores near the threshold"
        )
    return "\n".join(lines)


def shown(value: float, interval: tuple[float, float]) -> str:
    """A percentage with the interval that it lies in with 95 %."""
    return f"{value:.1f} % ({interval[0]:.1f} to {interval[1]:.1f})"
