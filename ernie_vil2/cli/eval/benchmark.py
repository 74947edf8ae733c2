"""Options of `eval` for public benchmarks, and what is written of their results."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ...data.sources.scenes.options import plain_value
from ...errors import ConfigError
from ...evaluation.benchmarks.benchmark import kinds
from ...evaluation.benchmarks.registry import MODULES, benchmark
from ...evaluation.benchmarks.run import run_benchmark, tables
from ...evaluation.encoding import Progress
from ...evaluation.runs import results as runs
from ...files.json_files import write_json
from ...messages import plain
from ..progress import tell

SWITCHES = ("split", "allow_counts", "skip_broken", "boxes")
"""options of benchmarks that have an argument of their own"""


def add_options(group: "argparse._ArgumentGroup") -> None:
    """Put the options of benchmarks into a parser's group."""
    group.add_argument(
        "--benchmark",
        metavar="NAME",
        help=f"{', '.join(MODULES)}; NAME@PROTOCOL measures one protocol, NAME all of them",
    )
    group.add_argument(
        "--data", metavar="DIR", help="folder of the benchmark's files, as their authors publish them (not with scenes)"
    )
    group.add_argument("--split", metavar="S", help="another split than the one that is reported")
    group.add_argument(
        "--boxes", metavar="FILE", help="JSON lines {id, boxes} of its images, for a model that takes boxes"
    )
    group.add_argument(
        "--allow-counts",
        action="store_true",
        help="measure on what is there though it is not the whole benchmark, and say so",
    )
    group.add_argument(
        "-o",
        dest="options",
        metavar="OPTION=VALUE",
        action="append",
        default=[],
        help="another option of the benchmark, such as language=en",
    )


def given(args: argparse.Namespace) -> dict[str, Any]:
    """{option: value} that the parsed arguments set; of the words of `-o` each is what the benchmark declares."""
    known = {"split": str, **kinds(benchmark(args.benchmark).options)}
    options = {name: getattr(args, name) for name in SWITCHES if getattr(args, name)}
    for item in args.options:
        name, equals, value = item.partition("=")
        if not equals or name in options:
            raise ConfigError(
                f"-o {item} is "
                + (f"the second {name}" if equals else "not OPTION=VALUE")
                + "; write each option once, for example -o language=en"
            )
        kind = known.get(name)
        options[name] = value if kind is str else plain_value(value)
        if kind is bool and not isinstance(options[name], bool):
            raise ConfigError(f"-o {item}: {name} must be true or false")
    return options


def run(args: argparse.Namespace, command: Sequence[str], progress: Progress | None = None) -> None:
    """Measure what the parsed arguments ask for, print tables, and write what `--json` and `--output` name."""
    replaced = bool(args.output) and runs.check_folder(args.output)
    options = given(args)
    how = {"damaged": args.damaged, "engine": args.engine, "precision": args.precision, "note": tell}
    outcome = run_benchmark(args.benchmark, args.data, args.model, args.vocab, options, command, progress, **how)
    try:
        print(tables(outcome.results), flush=True)  # first: a full disk must not lose the figures
    finally:  # and a reader of them that has gone, as `head` does, must not lose the files
        write(args, outcome)
    if args.output:
        print("\n" + plain(f"{'replaced' if replaced else 'wrote'} {args.output}"), flush=True)


def write(args: argparse.Namespace, outcome: runs.Outcome) -> None:
    """The files that `--output` and `--json` name."""
    if args.output:
        runs.write_run(args.output, outcome, outcome.results[0].provenance)
    if args.json:
        write_json(
            args.json,
            {
                "model": args.model,
                "benchmark": args.benchmark,
                "data": args.data,
                "data_sha256": outcome.data_sha256,
                "results": [asdict(row) for row in outcome.results],
            },
            "eval",
        )
