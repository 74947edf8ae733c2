"""The verb `check` of `data`: what is wrong with a source."""

import argparse

from ...data.check.check import check
from ...data.images.limits import limits_of
from ...data.tokenizer import Tokenizer
from ...errors import ConfigError
from ...files.claim import Claims
from ...messages import plain
from ..arguments import add_damaged, add_plugin, add_replace, whole
from ..progress import row_bar
from ..sources import SOURCE, opened
from ..stopping import stoppable

EXAMPLES = """
ernie-vil2 data check photos.jsonl --vocab vocab.txt
ernie-vil2 data check table.csv --limit 1000 --no-decode     # the first rows, quickly
ernie-vil2 data check shards --checksums --json report.json
"""


@stoppable()
def run(options: argparse.Namespace) -> int:
    """Print the report on a source; 1 when it has bad rows or damaged files."""
    if options.limit is not None and options.limit < 1:
        raise ConfigError(f"--limit is {options.limit}; give at least 1, or leave it out to check all rows")
    Claims("data check", [options.source, options.vocab], options.replace).file(options.json)
    tokenizer = Tokenizer(options.vocab) if options.vocab else None
    source = opened(options.source)
    progress = row_bar(min(len(source), options.limit or len(source)))
    report = check(
        source,
        tokenizer,
        options.limit,
        options.decode,
        None if options.json else 20,
        progress,
        limits=limits_of(options.damaged),
    )
    print(report)
    if options.json:
        report.write(options.json)
    if faults := list(source.faults(options.checksums)):
        print(
            f"damaged files    {len(faults):,}",
            *(plain(fault) for fault in faults if fault not in source.notes),
            sep="\n",
        )
    return 1 if report.bad or faults else 0


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `check` to the verbs of an argument parser."""
    verb = verbs.add_parser(
        "check", help="find what is wrong with a source", description=run.__doc__, examples=EXAMPLES
    )
    verb.add_argument("source", metavar="SOURCE", help=SOURCE)
    verb.add_argument("--vocab", help="vocab.txt, for token lengths and the truncation rate")
    verb.add_argument("--limit", type=whole, help="check the first LIMIT rows only")
    verb.add_argument("--json", metavar="OUT", help="write the whole report, with every bad row, as JSON")
    verb.add_argument("--checksums", action="store_true", help="compare tars with the checksums in their index.json")
    add_damaged(verb)
    verb.add_argument("--no-decode", dest="decode", action="store_false", help="only hash the images")
    add_plugin(verb)
    add_replace(verb)
    verb.set_defaults(run=run)
