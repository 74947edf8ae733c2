"""The verb `ablation` of `bench`: what each pair of views is worth."""

import argparse
from pathlib import Path

from ...errors import UserError
from ...files.claim import Claims
from ...files.paths.place import check_folder
from ...messages import plain
from ...studies.ablation.comparison import COMMAND, NAMES
from ...studies.ablation.report import summary_table, write_document
from ...studies.ablation.run import plan
from ...studies.runs.processes import run_all
from ...studies.runs.run import TEST_IMAGES, results
from ..arguments import add_overrides, add_replace, count, seed
from ..stopping import stoppable

EXAMPLES = """
ernie-vil2 bench ablation                                    # hours; goes on after a stop
ernie-vil2 bench ablation --seeds 0 -o train.steps=100 --output output/short --write short.md
"""


@stoppable(kept=True)
def run(args: argparse.Namespace) -> int | None:
    """Train every configuration with every seed, measure on the unseen split, and write the comparison."""
    runs = plan(args.configs, args.output, args.seeds, args.only or (), args.override, args.images)
    claims = Claims(COMMAND, [args.configs], args.replace)
    check_folder(args.output)
    claims.file(args.write, parents=True)
    claims.file(Path(args.write).with_suffix(".svg"), parents=True)
    failed = run_all(runs, args.jobs, replace=args.replace)
    done = results(plan(args.configs, args.output, args.seeds, (), args.override, args.images))
    print(summary_table(done))
    if failed:
        raise UserError(
            "; ".join(f"{label}: {reason}" for label, reason in failed.items())
            + "; the other runs are kept, repeat the command for the rest"
        )
    missing = len(NAMES) * len(set(args.seeds)) - len(done)
    if missing:
        print(f"{missing} runs are not done, so {args.write} is not written; repeat the command without --only")
    else:
        write_document(args.write, done)
        print(plain(f"wrote {args.write} and {Path(args.write).with_suffix('.svg')}"))


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `ablation` to the verbs of an argument parser."""
    verb = verbs.add_parser("ablation", help=run.__doc__, description=run.__doc__, examples=EXAMPLES)
    verb.add_argument("--seeds", type=seed, nargs="+", default=[0, 1, 2], metavar="S", help="default: 0 1 2")
    verb.add_argument("--jobs", type=count, default=2, metavar="N", help="runs side by side, a thread each (default 2)")
    verb.add_argument("--only", action="append", metavar="NAME", help=f"one of {', '.join(NAMES)}; may be repeated")
    verb.add_argument("--configs", default="configs/ablation", metavar="DIR", help="default: %(default)s")
    verb.add_argument("--output", default="output/ablation", metavar="DIR", help="of the runs (default %(default)s)")
    verb.add_argument("--images", type=count, default=TEST_IMAGES, metavar="N", help="unseen scenes (%(default)s)")
    verb.add_argument("--write", default="docs/ablation.md", metavar="FILE", help="default: %(default)s")
    add_overrides(verb, "for every run")
    add_replace(verb)
    verb.set_defaults(run=run)
