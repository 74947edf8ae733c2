"""What the verbs that join a detector's output have in common: where detections come from, and how they are joined."""

import argparse
from collections.abc import Callable
from pathlib import Path

from ...config.model import PIXEL_PROFILES, PixelProfile
from ...data.images.resize import OFFICIAL
from ...data.sources.base import IMAGE_ALONE, Source, require_sides
from ...data.sources.open import open_source
from ...data.tagging.labels import Labels
from ...data.tagging.rules import Rules
from ...data.tagging.tagging import MATCHES, join
from ...errors import ConfigError
from ...files.atomic import reported
from ...files.claim import Claims
from ...messages import counted, plain
from ...stop import StopRequest
from ..arguments import add_plugin, add_replace, number, whole
from ..progress import row_bar

KEPT = "what was detected is kept, the same command goes on"


def add_detections(verb: argparse.ArgumentParser, field: str, most: int) -> None:
    """Add the options of a verb that writes JSON lines {id, field}, of `most` entries an image by default."""
    verb.add_argument("source", metavar="SOURCE", help="what the images belong to")
    verb.add_argument("output", metavar="OUT", help=f"JSON lines {{id, {field}}} to write")
    verb.add_argument("detections", nargs="*", metavar="DETECTIONS", help="JSON lines or COCO results of a detector")
    verb.add_argument("--detector", metavar="DIR", help="an exported PaddleDetection model that is run over the source")
    verb.add_argument("--threshold", type=number, default=0.3, help="least score (default %(default)s)")
    verb.add_argument(
        "--most", type=whole, default=most, metavar="K", help=f"{field} of an image (default %(default)s)"
    )
    verb.add_argument("--match", choices=sorted(MATCHES), default="id", help="stem: by file name without its suffix")
    add_plugin(verb)
    add_replace(verb)


def write(
    args: argparse.Namespace, field: str, rules: Rules, read: Callable[[], Labels | None], inputs: tuple = ()
) -> None:
    """Write {id, field} of a source from detections, read from files or made here; print what was joined.

    read: function that gives the labels of tags, or None for boxes; called before the source is opened. inputs: files
    that it reads.
    """
    if bool(args.detections) == bool(args.detector):
        raise ConfigError("give the detections as files, or --detector DIR to make them")
    inputs = [args.source, args.detections, args.detector, *inputs]
    Claims(f"data {field}", inputs, args.replace).file(args.output)
    labels = read()
    source = open_source(args.source)
    require_sides(source, "a detector", every=IMAGE_ALONE)
    print(plain(source.describe()), flush=True)
    stored = PIXEL_PROFILES["brivl"] if field == "boxes" else OFFICIAL  # boxes are in pixels of images as stored
    paths = args.detections or [detected(args.detector, stored, source, f"{args.output}.detections")]
    print(join(source, paths, args.output, labels, rules, args.match, progress=row_bar()))
    print(plain(f"wrote {args.output}; use it with the source option `{field}: {args.output}`"))


def detected(folder: str, profile: PixelProfile, source: Source, place: str) -> Path:
    """The file of what the detector in `folder` finds in the images of a source, written to the folder `place`."""
    from ...inference.detector import Detector, detect_source

    detector = Detector(folder, profile)
    with StopRequest("stopping after this image; once more Ctrl-C stops at once") as stop, reported(place, KEPT):
        path, counts = detect_source(detector, source, place, row_bar(), stop)
    broken = counted(counts["broken"], "image is", "images are")
    print(plain(f"{path}: detections of {counted(counts['images'], 'image')}, {broken} broken"))
    return path
