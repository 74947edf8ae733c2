"""`eval --model M --input SOURCE`: a model on pictures of one's own, printed, and kept as a run folder."""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence

from ...data.sources.base import IMAGE_ALONE, TEXT_ALONE, RowError, require_sides
from ...evaluation import retrieval
from ...evaluation.encoding import Progress, encode_source
from ...evaluation.metrics.finite import finite
from ...evaluation.own_set import own_outcome
from ...evaluation.runs import results as runs
from ...evaluation.runs.provenance import provenance
from ...files.digests import sha256_of
from ...files.json_files import write_json
from ...messages import plain
from ..progress import tell
from ..sources import opened


def run(args: argparse.Namespace, command: Sequence[str], progress: Progress) -> None:
    """Measure what the parsed arguments ask for, print tables, and write what `--json` and `--output` name."""
    import ernie_vil2

    replaced = bool(args.output) and runs.check_folder(args.output)
    source = opened(args.input, sys.stderr)
    require_sides(source, "retrieval", every=IMAGE_ALONE, some=TEXT_ALONE)
    model = ernie_vil2.load(args.model, args.vocab, args.damaged, args.engine, args.precision)
    tell(model.engines.told())
    try:
        embeddings = encode_source(model, source, args.skip_broken, progress=progress)
    except RowError as error:
        fix = f"{error.fix}, or leave such rows out and count them with --skip-broken"
        raise RowError(error.where, error.cause, error.reason, fix) from None
    owners = embeddings.text_image
    finite(embeddings.image, lambda row: f"image {embeddings.image_ids[row]!r}")
    finite(embeddings.text, lambda row: f"a text of image {embeddings.image_ids[owners[row]]!r}")
    results = retrieval.evaluate(embeddings)
    printed = {name: results[name] for name in results if args.protocol in (None, "both", name)}
    show(printed, embeddings.notes)
    if args.output:
        outcome = own_outcome(embeddings, source, results)
        origin = provenance(command, args.model, outcome.data_sha256, options(args))
        runs.write_run(args.output, outcome, {**origin, "engines": model.engines.record})
    if args.json:
        told = {"model": args.model, "input": args.input, "engines": model.engines.record}
        write_json(args.json, {**told, "notes": list(embeddings.notes), "protocols": printed}, "eval")
    if args.output:
        print("\n" + plain(f"{'replaced' if replaced else 'wrote'} {args.output}"), flush=True)


def options(args: argparse.Namespace) -> dict[str, object]:
    """What changes the figures, beside the data and the model."""
    changed = {name: getattr(args, name) for name in ("damaged", "precision", "skip_broken")}
    return {**changed, "vocab": sha256_of(args.vocab)} if args.vocab else changed


def show(results: Mapping[str, Mapping[str, float]], notes: Iterable[str]) -> None:
    """Print a table per protocol, and the notes."""
    print(retrieval.table(results), *(f"note: {plain(note)}" for note in notes), sep="\n", flush=True)
