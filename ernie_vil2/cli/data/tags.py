"""The verb `tags` of `data`: detections, read from files or made by a detector, become tags of a source."""

import argparse

from ...data.sources.open import open_source
from ...data.tagging.labels import LANGUAGES, read_labels
from ...data.tagging.rules import ORDERS, Rules
from ...data.tagging.tagging import MATCHES, join
from ...errors import ConfigError
from ...files.atomic import reported
from ...files.claim import Claims
from ...stop import StopRequest
from ..arguments import add_replace
from ..progress import row_bar
from ..stopping import stoppable

KEPT = "what was detected is kept, the same command goes on"


def run(args: argparse.Namespace) -> None:
    """Write the tags of a source and print what was joined."""
    with stoppable(kept=bool(args.detector)):
        write(args)


def write(args: argparse.Namespace) -> None:
    """The work of the verb."""
    if bool(args.detections) == bool(args.detector):
        raise ConfigError("give the detections as files, or --detector DIR to make them")
    inputs = [args.source, args.detections, args.detector, args.labels, args.chinese]
    Claims("data tags", inputs, args.replace).file(args.output)
    rules = Rules(args.threshold, args.most, args.order, not args.repeat)
    labels = read_labels(args.labels, args.chinese, args.language, args.first_index)
    source = open_source(args.source)
    print(source.describe(), flush=True)
    paths = args.detections
    if args.detector:
        from ...inference.detector import Detector, detect_source

        detector, place = Detector(args.detector), f"{args.output}.detections"
        with StopRequest("stopping after this image; once more Ctrl-C stops at once") as stop, reported(place, KEPT):
            path, counts = detect_source(detector, source, place, row_bar(), stop)
        print(f"{path}: detections of {counts['images']:,} images, {counts['broken']:,} images are broken")
        paths = [path]
    print(join(source, paths, args.output, labels, rules, args.match, progress=row_bar()))
    print(f"wrote {args.output}; use it with the source option `tags: {args.output}`")


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `tags` to the verbs of an argument parser."""
    verb = verbs.add_parser("tags", help="join a detector's output into the tag view", description=run.__doc__)
    verb.add_argument("source", metavar="SOURCE", help="what the images belong to")
    verb.add_argument("output", metavar="OUT", help="JSON lines {id, tags} to write")
    verb.add_argument("detections", nargs="*", metavar="DETECTIONS", help="JSON lines or COCO results of a detector")
    verb.add_argument("--detector", metavar="DIR", help="an exported PaddleDetection model that is run over the source")
    verb.add_argument("--labels", metavar="FILE", help="class names: text, JSON of COCO, coco, or coco80")
    verb.add_argument("--chinese", metavar="FILE", help="Chinese names, a line for each class of --labels")
    verb.add_argument("--language", choices=LANGUAGES, default="zh", help="of the tags (default %(default)s)")
    verb.add_argument("--first-index", type=int, default=0, metavar="N", help="class number of the first line (0)")
    verb.add_argument("--threshold", type=float, default=0.3, help="least score (default %(default)s)")
    verb.add_argument("--most", type=int, default=10, metavar="K", help="tags of an image (default %(default)s)")
    verb.add_argument("--order", choices=ORDERS, default="score", help="score, box area, or left to right")
    verb.add_argument("--repeat", action="store_true", help="keep a tag as often as it was detected")
    verb.add_argument("--match", choices=sorted(MATCHES), default="id", help="stem: by file name without its suffix")
    add_replace(verb)
    verb.set_defaults(run=run)
