"""Put a model's towers into int8, with recall before and after.

Each tower is calibrated on rows spread over SOURCE and kept beside the model, for `load(MODEL,
precision="int8")`. A tower whose int8 costs more than a point of R@1 stays in bf16 (fp32 where the processor
has no bf16). Needs the packages of requirements-quantize.txt; docs/engines.md says more.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from ..data.sources.base import SIDES, Source, require_sides
from ..errors import ConfigError
from ..evaluation.calibration_rows import calibration_items, divided
from ..evaluation.retrieval import table
from ..files.leftovers import scratch_folder
from ..inference.engines.calibration import LEAST
from ..inference.engines.choice import PLURALS, beside_int8
from ..inference.engines.int8_graph import check_installed
from ..messages import brief, plain
from ..runtime import import_paddle
from .arguments import Parser, add_damaged, add_plugin, between, model_path
from .progress import encoded, note
from .sources import SOURCE, opened
from .stopping import stoppable

if TYPE_CHECKING:
    from ..evaluation.int8_cost import Int8Cost
    from ..inference.model import Model

count_of_rows = between(int, LEAST, 10**5)

EXAMPLES = """
ernie-vil2 quantize model --calibrate train.jsonl
ernie-vil2 quantize model --calibrate train.jsonl --validate valid.jsonl --towers image
ernie-vil2 quantize model --calibrate photos --towers image --keep    # no captions there
"""


def towers(text: str) -> tuple[str, ...]:
    """The towers of a list with commas."""
    found = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    for kind in found:
        if kind not in PLURALS:
            raise argparse.ArgumentTypeError(f"there is no tower {brief(kind, 60)!r}; give image, text or image,text")
    return found


def parser() -> Parser:
    """The arguments."""
    found = Parser(prog="ernie-vil2 quantize", description=__doc__, examples=EXAMPLES)
    found.add_argument("model", type=model_path, metavar="MODEL", help="model directory, folder of a run, or .pdparams")
    found.add_argument("--calibrate", required=True, metavar="SOURCE", help=f"what it will be used for: {SOURCE}")
    found.add_argument(
        "--validate", metavar="SOURCE", help="what recall is measured on; default: other rows of the first"
    )
    found.add_argument("--towers", type=towers, metavar="image,text", help="which towers; default: all of the model")
    found.add_argument(
        "--count", type=count_of_rows, default=300, metavar="N", help="rows to calibrate on; default 300"
    )
    found.add_argument("--keep", action="store_true", help="keep int8 whatever it costs, or where that is not measured")
    found.add_argument("--vocab", help="vocabulary of a .pdparams")
    add_damaged(found)
    add_plugin(found)
    return found


@stoppable()
def main(argv: list[str] | None = None) -> None:
    """Quantise, measure, keep, and print what was kept."""
    args = parser().parse_args(argv)
    check_installed()
    import_paddle()
    from ..evaluation.int8_cost import int8_cost
    from ..inference import quantization

    source = opened(args.calibrate, sys.stderr)
    validation = opened(args.validate, sys.stderr) if args.validate else None
    if validation is not None:
        require_sides(validation, "measuring recall", every=(), some=SIDES)
    calibrating, others = divided(source, args.count, validation is None)
    model = quantization.quantizable(args.model, args.vocab, args.damaged)
    kinds = quantization.towers_of(model, args.towers)
    items = calibration_items(calibrating, kinds)
    if validation is None and not items.texts:
        others = None
    measured_on = measurable(model, validation or others, args.keep)
    with scratch_folder("quantize") as scratch:
        note(f"quantizing: {', '.join(kinds)}")
        given = {"image": items.images, "text": items.texts}
        graphs = quantization.quantize_towers(model, given, kinds, scratch, items.boxes if model.most_boxes else None)
        folders = {kind: folder for kind, (folder, _) in graphs.items()}
        cost = None
        if measured_on is not None:
            cost = int8_cost(model, folders, measured_on, args.keep, encoded("samples"))
            print(told(cost))
        for kind, (folder, calibrated) in graphs.items():
            kept = cost is None or kind in cost.kept
            record = quantization.record_of(
                "int8" if kept else beside_int8(),
                calibrated,
                round(cost.costs[kind], 3) if cost else None,
                cost.images if cost else 0,
            )
            place = quantization.keep(model, kind, folder if kept else None, record)
            print(plain(f"wrote {place}: {PLURALS[kind]} in {record.precision}, calibrated on {calibrated:,} of them"))


def measurable(model: Model, source: Source | None, keep: bool) -> Source | None:
    """What recall is measured on; where it cannot be, None with `keep`, and ConfigError without."""
    lacking = sorted(set(PLURALS) - set(model.config.towers()))
    if source is not None and not lacking:
        return source
    if keep:
        return None
    if lacking:
        why, fix = f"this model has no {lacking[0]} tower", "give --keep to keep int8 unmeasured"
    else:
        why, fix = "the source has no captions", "give one that has them with --validate, or --keep to measure nothing"
    raise ConfigError(f"{why}, so that its recall cannot be measured; {fix}")


def told(cost: Int8Cost) -> str:
    """Recall before and after, and what each tower costs."""
    from ..evaluation.int8_cost import LARGEST_COST

    lines = ["fp32, " + table(cost.before), "quantized, " + table(cost.after)]
    for kind, points in cost.costs.items():
        stays = "" if kind in cost.kept else f": over {LARGEST_COST:g}, so that the tower stays in {beside_int8()}"
        lines.append(f"R@1 with {PLURALS[kind]} alone in int8: {0.0 - points:+.2f} points{stays}")
    return "\n".join([*lines, *(f"note: {plain(text)}" for text in cost.notes)])
