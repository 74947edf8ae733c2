"""Put runs of `eval --output` side by side, beside published figures of the same protocol.

Printed as Markdown, or with --output a folder with Markdown, JSON and a page: figures, queries with their best
pictures, curves, thresholds, the hardest errors. Sets of your own stand in tables of their own.
"""

from pathlib import Path

from ...errors import ConfigError
from ...evaluation.compare.markdown import to_markdown
from ...evaluation.compare.page import page
from ...evaluation.compare.tables import as_json, compare_runs
from ...evaluation.runs.results import json_bytes, read_run
from ...files.atomic import atomic_file, reported
from ...files.claim import Claims, holds
from ...files.marks import MARK, comment, marked
from ...files.paths.place import check_folder
from ...messages import plain
from ..arguments import Parser, add_replace

COMMAND = "eval compare"
FILES = {"markdown": "compare.md", "json": "compare.json", "html": "compare.html"}

EXAMPLES = """
ernie-vil2 eval compare runs/try runs/all
ernie-vil2 eval compare runs/try runs/all --output runs/report
ernie-vil2 eval compare runs/try --format json
"""


def parser() -> Parser:
    """The arguments."""
    found = Parser(prog="ernie-vil2 eval compare", description=__doc__, examples=EXAMPLES)
    found.add_argument("runs", nargs="+", metavar="RUN", help="run folder of an evaluation")
    found.add_argument("--output", metavar="DIR", help="write to this folder instead of printing")
    found.add_argument(
        "--format",
        choices=("markdown", "json", "html", "all"),
        help="default: markdown when printed, all with --output",
    )
    add_replace(found)
    return found


def main(argv: list[str] | None = None) -> None:
    """Print the comparison of run folders, or write compare.md, compare.json and compare.html to a folder."""
    arguments = parser()
    args = arguments.parse_args(argv)
    wanted = args.format or ("all" if args.output else "markdown")
    if not args.output and wanted in ("html", "all"):
        arguments.error(f"--format {wanted} needs --output DIR")
    chosen = FILES if wanted == "all" else (wanted,)
    if args.output is not None:
        check_folder(args.output)
    claims = Claims(COMMAND, args.runs, args.replace)
    if args.output and (held := [path for path in args.runs if holds(Path(path), Path(args.output))]):
        raise ConfigError(f"{args.output} is in the run folder {held[0]}, which it reads; name another folder")
    for name in chosen if args.output else ():
        claims.file(Path(args.output) / FILES[name], parents=True)
    runs = [read_run(path) for path in args.runs]
    comparison = compare_runs(runs)
    mark = comment(COMMAND) if args.output else ""
    makers = {
        "markdown": lambda: (to_markdown(comparison) + mark).encode("utf-8", "replace"),
        "json": lambda: json_bytes({MARK: marked(COMMAND), **as_json(comparison)}),
        "html": lambda: (page(comparison, runs) + mark).encode("utf-8", "replace"),
    }
    for name in chosen:
        content = makers[name]
        if not args.output:
            print(content().decode("utf-8"), end="")
            continue
        path = Path(args.output) / FILES[name]
        with reported(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(path) as handle:
                handle.write(content())
        print(plain(f"wrote {path}"))
