"""What the verbs that scan have in common: options, one run with its end, and what is said of it."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ...errors import DataError
from ...messages import counted, plain
from ...search.scan.encoder import Encoder
from ...search.scan.fault import BAD
from ...search.scan.index_model import ModelChoice, encoder_of
from ...search.scan.nearest import renew_neighbours
from ...search.scan.places import EMBEDDINGS, Place, check_options, overlaps, place_of
from ...search.scan.removal import take_back
from ...search.scan.scan import Report, scan
from ...search.store.writer import Writer
from ...stop import StopRequest
from ..arguments import add_engine, between, model_path
from ..progress import note, tell
from ..sources import SOURCE
from .remaining import told
from .scan_progress import ScanProgress

UNCHANGED = "bad file has not changed, so it was", "bad files have not changed, so they were"
KINDS = ("auto", "flat", "sq8", "hnsw", "ivf", "pq")
megabytes = between(int, 1, 10**7)
STOPPING = "stopping after these pictures; once more Ctrl-C stops at once, without them"


def add_sources(verb: argparse.ArgumentParser) -> None:
    """SOURCE..., and what is made of them."""
    verb.add_argument("sources", nargs="*", metavar="SOURCE", help=f"folder of pictures and videos, or {SOURCE}")
    told = "embeddings made elsewhere: a folder with image.npy and image_ids.txt, or a .npy with ids; may be repeated"
    verb.add_argument("--embeddings", action="append", default=[], metavar="FOLDER", help=told)
    verb.add_argument(
        "--no-texts", dest="texts", action="store_false", help="leave captions and tags without vectors of their own"
    )
    told = "frames of videos in folders: `every 2 s` (default), or a number of frames of each, evenly"
    verb.add_argument("--frames", default="", metavar="F", help=told)


def add_model(verb: argparse.ArgumentParser, told: str) -> None:
    """`--model` and what it computes with; without them as the index has it."""
    add_choice(verb, told)
    add_engine(verb)
    verb.set_defaults(engine="", precision="")


def add_choice(verb: argparse.ArgumentParser, told: str) -> None:
    """`--model` and what goes with it."""
    verb.add_argument("--model", type=model_path, default="", metavar="M", help=told)
    verb.add_argument("--vocab", default="", help="vocabulary of a .pdparams")
    told = "pictures that decode only in part: bad files (skip, default), or kept as they are"
    verb.add_argument("--damaged", choices=("skip", "keep"), default="", help=told)


def add_neighbours(verb: argparse.ArgumentParser) -> None:
    """`--type` and `--memory`."""
    told = "what finds neighbours; auto (default) chooses by size and memory, and says why (docs/search.md)"
    verb.add_argument("--type", choices=KINDS, default="", help=told)
    verb.add_argument("--memory", type=megabytes, metavar="MB", help="most memory that it may take in a search")


def most_memory(options: argparse.Namespace) -> int | None:
    """Bytes that what finds neighbours may take, None where nobody said."""
    return options.memory * 10**6 if options.memory else None


def add_quiet(verb: argparse.ArgumentParser) -> None:
    """`--quiet`, for who calls a verb again and again."""
    verb.add_argument("--quiet", action="store_true", help="say nothing where nothing has changed, as for a timer")


def choice_of(options: argparse.Namespace) -> ModelChoice:
    """The model that the options ask for."""
    return ModelChoice(options.model, options.vocab, options.engine, options.precision, options.damaged)


def places_of(options: argparse.Namespace) -> list[Place]:
    """The places that the options name, each once."""
    places = [place_of(source, options.frames, options.texts) for source in options.sources]
    for path in options.embeddings:
        if not Path(path).exists():
            raise DataError(f"{path}: there are no embeddings; correct the path")
        places.append(Place(EMBEDDINGS, str(Path(path).absolute()), str(Path(path).absolute())))
    return list(dict.fromkeys(places))


def encoder_for(
    writer: Writer, places: Sequence[Place], options: argparse.Namespace, choice: ModelChoice | None = None
) -> Encoder:
    """The encoder of an index that is there; of no use where places hold embeddings alone, which may be of a model that
    nobody named."""
    choice = choice or choice_of(options)
    if not choice.path and all(place.kind == EMBEDDINGS for place in places):
        return Encoder(choice.load)
    return encoder_of(writer.folder, writer.manifest, choice, told=tell)


def scanned(
    writer: Writer,
    places: Sequence[Place],
    encoder: Encoder,
    options: argparse.Namespace,
    patient: bool = False,
    named: bool = True,
) -> Report:
    """Scan places, make what finds neighbours, and print what became of it. patient: as of `scan`; named: whether a
    person named the places, so that nothing of them is passed over any more."""
    for place in places if named else ():
        check_options(writer.manifest, place)
        for sentence in overlaps(writer.manifest, place):
            tell(f"note: {sentence}")
        take_back(writer, writer.root(place.spec, place.folder, place.kind))
    before = kept_state(writer)
    with StopRequest(STOPPING) as stop:
        report = scan(writer, places, encoder, ScanProgress(quiet=options.quiet), stop, patient)
    memory = most_memory(options)
    if options.quiet and kept_state(writer) == before:
        renew_neighbours(writer, options.type, memory)
        return report
    for left_out in report.notes:
        print(plain(f"note: {left_out}"), file=sys.stderr)
    print(*map(plain, lines(report, writer, options.index)), sep="\n")
    for line in renew_neighbours(writer, options.type, memory, note):
        print(plain(line))
    return report


def kept_state(writer: Writer) -> tuple[int, int]:
    """What is another one when rows or bad files of an index have changed."""
    bad = writer.folder / BAD
    return writer.snapshot.manifest.sequence, bad.stat().st_size if bad.exists() else 0


def lines(report: Report, writer: Writer, name: str) -> list[str]:
    """What became of a scan of the index of this name, in lines."""
    counts, images = report.counts, writer.snapshot.images
    named = ("new", "moved", "edited", "gone")
    told_counts = [f"{counts[name]:,} {name}" for name in named]
    bad = report.causes.total()
    told_counts += [f"{bad:,} bad", f"{counts['same'] + counts['touched']:,} as before"]
    found = [", ".join(told_counts)]
    if counts["frames"]:
        found.append(f"{counted(counts['frames'], 'frame')} of videos")
    if bad:
        causes = ", ".join(f"{count:,} {cause}" for cause, count in sorted(report.causes.items()))
        found.append(f"bad files by cause: {causes}; listed in {Path(name) / BAD}")
    if counts["bad before"]:
        found.append(f"{counted(counts['bad before'], *UNCHANGED)} not tried again")
    seconds = max(report.seconds - report.loading, 1e-9)
    rate = f", {report.read / seconds:,.1f} files a second" if report.read else ""
    found.append(f"took {told(report.seconds)}{rate}")
    texts = f" and {counted(len(writer.snapshot.texts), 'text')}" if len(writer.snapshot.texts) else ""
    return [*found, f"{name}: {counted(len(images), 'picture')}{texts}"]
