"""The verb `systems` of `bench`: one table of all systems."""

import argparse
from pathlib import Path

from ...errors import UserError
from ...files.claim import Claims
from ...files.paths.place import check_folder
from ...messages import plain
from ...studies.runs.run import TEST_IMAGES
from ...studies.systems.comparison import COMMAND, NAMES, Results
from ...studies.systems.costs import COSTS, measured
from ...studies.systems.plan import BATCHES, PAIRS, RATES, SEEDS, Plan, train
from ...studies.systems.report import write_document
from ...studies.systems.tables import run_table
from ..arguments import add_overrides, add_replace, count, positive, seed
from ..stopping import stoppable

EXAMPLES = """
ernie-vil2 bench systems                                     # 1.3 hours; goes on after a stop
ernie-vil2 bench systems --seeds 0 --batches 32 --output output/short --write short.md
"""


@stoppable(kept=True)
def run(args: argparse.Namespace) -> None:
    """Train every system on the same towers, data and pairs, at every batch, and write what each reaches and costs."""
    asked = args.pairs, args.batches, args.seeds, args.rates, args.only or (), args.override, args.images
    plan = Plan(args.configs, args.output, *asked)
    claims = Claims(COMMAND, [args.configs], args.replace)
    check_folder(args.output)
    for place in (args.write, Path(args.output) / COSTS):
        claims.file(place, parents=True)
    found = train(plan, args.jobs, replace=args.replace)
    print(run_table(found.results))
    if found.failed:
        raise UserError(
            "; ".join(f"{label}: {reason}" for label, reason in found.failed.items())
            + "; the other runs are kept, repeat the command for the rest, or choose other --rates"
        )
    if len(plan.names) < len(NAMES):
        print(f"--only leaves systems out, so {args.write} is not written; repeat the command without it")
        return
    print("measuring times and memory ...")
    costs = measured(configs(plan, found.results), args.output, args.images, args.replace)
    write_document(args.write, found, costs, plan)
    print(plain(f"wrote {args.write}"))


def configs(plan: Plan, results: Results) -> dict[str, dict[int, dict]]:
    """{system: {batch: configuration}} of the first seed."""
    found = {name: {} for name in plan.names}
    for row in results:
        found[row["name"]].setdefault(row["batch"], row["config"])
    return found


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `systems` to the verbs of an argument parser."""
    verb = verbs.add_parser("systems", help=run.__doc__, description=run.__doc__, examples=EXAMPLES)
    verb.add_argument("--seeds", type=seed, nargs="+", default=SEEDS, metavar="S", help="default: 0 1 2")
    verb.add_argument("--batches", type=count, nargs="+", default=BATCHES, metavar="N", help="default: 32 128")
    told = "learning rates of the search (default 3e-4 1e-3 3e-3)"
    verb.add_argument("--rates", type=positive, nargs="+", default=RATES, metavar="R", help=told)
    verb.add_argument("--pairs", type=count, default=PAIRS, metavar="N", help="that every run sees (%(default)s)")
    verb.add_argument("--jobs", type=count, default=2, metavar="N", help="runs side by side, a thread each (default 2)")
    verb.add_argument("--only", action="append", metavar="NAME", help=f"one of {', '.join(NAMES)}; may be repeated")
    verb.add_argument("--configs", default="configs/systems", metavar="DIR", help="default: %(default)s")
    verb.add_argument("--output", default="output/systems", metavar="DIR", help="of the runs (default %(default)s)")
    verb.add_argument("--images", type=count, default=TEST_IMAGES, metavar="N", help="unseen scenes (%(default)s)")
    verb.add_argument("--write", default="docs/systems.md", metavar="FILE", help="default: %(default)s")
    add_overrides(verb, "for every run")
    add_replace(verb)
    verb.set_defaults(run=run)
