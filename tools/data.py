"""Look into data, and write it as shards: `data.py check SOURCE` finds what is wrong, `data.py shard` makes tars."""

import argparse
import os
import sys

from tqdm import tqdm

from ernie_vil2.data.check import check
from ernie_vil2.data.shards import BAD_NAME, parse_size, write_shards
from ernie_vil2.data.sources import open_source
from ernie_vil2.data.text import Tokenizer
from ernie_vil2.errors import ConfigError, run_tool
from ernie_vil2.evaluation.benchmarks.pairs_verb import add_verb as add_pairs
from ernie_vil2.inference.tag_verb import add_verb as add_tags

SOURCE = ".tsv, .jsonl, .tar, folder, glob, scenes:..., or a mapping such as '{kind: lmdb, path: train}'"


def run_check(options):
    """Print the report on a source; 1 when it has bad rows or damaged files."""
    if options.limit is not None and options.limit < 1:
        raise ConfigError(f"--limit is {options.limit}; give at least 1, or leave it out to check all rows")
    if options.json and not os.path.isdir(os.path.dirname(options.json) or "."):
        raise ConfigError(f"--json: the folder of {options.json} does not exist; create it first")
    tokenizer = Tokenizer(options.vocab) if options.vocab else None
    source = opened(options.source)
    report = check(source, tokenizer, options.limit, options.decode, None if options.json else 20, bar(source, options))
    print(report)
    if options.json:
        report.write(options.json)
    if faults := list(source.faults(options.checksums)):
        print(f"damaged files    {len(faults):,}", *(fault for fault in faults if fault not in source.notes), sep="\n")
    return 1 if report.bad or faults else 0


def run_shard(options):
    """Write a source as tars; a second call goes on where the first was stopped."""
    limit, source = parse_size(options.size_limit), opened(options.source)
    done = write_shards(source, options.out, options.per_shard, limit, bar(source))
    print(f"{options.out}: {done['samples']:,} samples in {len(done['shards']):,} tars, {done['bytes'] / 1e6:,.1f} MB")
    if done["bad"]:
        print(f"{done['bad']:,} bad rows were left out; {os.path.join(options.out, BAD_NAME)} lists them")


def opened(text):
    """The source that an argument stands for, after saying what was found and what is left out."""
    source = open_source(text)
    print(source.describe(), *(f"note: {note}" for note in source.notes), sep="\n", flush=True)
    return source


def bar(source, options=None):
    """Function that wraps an iterator of rows in a progress bar on a terminal, and in nothing elsewhere."""
    total = min(len(source), getattr(options, "limit", None) or len(source))
    return lambda rows: tqdm(rows, total=total, unit="row", leave=False, disable=not sys.stderr.isatty())


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verb = verbs.add_parser("check", help="find what is wrong with a source")
    verb.add_argument("source", metavar="SOURCE", help=SOURCE)
    verb.add_argument("--vocab", help="vocab.txt, for token lengths and the truncation rate")
    verb.add_argument("--limit", type=int, help="check the first LIMIT rows only")
    verb.add_argument("--json", metavar="OUT", help="write the whole report, with every bad row, as JSON")
    verb.add_argument("--checksums", action="store_true", help="compare tars with the checksums in their index.json")
    verb.add_argument("--no-decode", dest="decode", action="store_false", help="only hash the images")
    verb.set_defaults(run=run_check)
    verb = verbs.add_parser("shard", help="write a source as tars with an index")
    verb.add_argument("source", metavar="SOURCE", help=SOURCE)
    verb.add_argument("out", metavar="OUT", help="folder for 00000.tar, ... and index.json")
    verb.add_argument("--per-shard", type=int, default=10000, help="samples of a tar (default 10000)")
    verb.add_argument("--size-limit", default="1GB", help="bytes of a tar (default 1GB)")
    verb.set_defaults(run=run_shard)
    add_tags(verbs)
    add_pairs(verbs)
    options = parser.parse_args(argv)
    return options.run(options)


if __name__ == "__main__":
    run_tool(main)
