"""Look into data: `data.py check FILE` reports bad rows, duplicates, orphans, caption lengths and image sizes."""

import argparse
import os
import sys

from ernie_vil2.data.check import check
from ernie_vil2.data.sources import open_source
from ernie_vil2.errors import ConfigError, run_tool


def run_check(options):
    """Print the report on a source; 1 when it has bad rows."""
    if options.limit is not None and options.limit < 1:
        raise ConfigError(f"--limit is {options.limit}; give at least 1, or leave it out to check all rows")
    if options.json and not os.path.isdir(os.path.dirname(options.json) or "."):
        raise ConfigError(f"--json: the folder of {options.json} does not exist; create it first")
    tokenizer = None
    if options.vocab:
        from ernie_vil2.data.text import Tokenizer

        tokenizer = Tokenizer(options.vocab)
    source = open_source(options.source)
    print(source.describe(), flush=True)
    total = min(len(source), options.limit or len(source))
    keep_bad = None if options.json else 20
    report = check(source, tokenizer, options.limit, options.decode, keep_bad, lambda rows: bar(rows, total))
    print(report)
    if options.json:
        report.write(options.json)
    return 1 if report.bad else 0


def bar(rows, total):
    """A progress bar on a terminal, nothing elsewhere."""
    from tqdm import tqdm

    return tqdm(rows, total=total, unit="row", leave=False, disable=not sys.stderr.isatty())


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verb = verbs.add_parser("check", help="find what is wrong with a source")
    verb.add_argument("source", metavar="FILE", help=".tsv, .jsonl, folder with captions.csv, glob, or scenes:...")
    verb.add_argument("--vocab", help="vocab.txt, for token lengths and the truncation rate")
    verb.add_argument("--limit", type=int, help="check the first LIMIT rows only")
    verb.add_argument("--json", metavar="OUT", help="write the whole report, with every bad row, as JSON")
    decode = verb.add_argument_group("images").add_mutually_exclusive_group()
    decode.add_argument("--decode", action="store_true", default=True, help="decode every image (default)")
    decode.add_argument("--no-decode", dest="decode", action="store_false", help="only hash the images")
    verb.set_defaults(run=run_check)
    options = parser.parse_args(argv)
    return options.run(options)


if __name__ == "__main__":
    run_tool(main)
