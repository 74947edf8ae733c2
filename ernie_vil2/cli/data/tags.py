"""The verb `tags` of `data`: detections, read from files or made by a detector, become tags of a source."""

import argparse

from ...data.tagging.labels import LANGUAGES, read_labels
from ...data.tagging.rules import ORDERS, Rules
from ..arguments import whole
from ..stopping import stoppable
from .detections import add_detections, write

EXAMPLES = """
ernie-vil2 data tags photos.jsonl tags.jsonl detections.json --labels coco
ernie-vil2 data tags photos.jsonl tags.jsonl --detector picodet --language zh
"""


def run(args: argparse.Namespace) -> None:
    """Write the tags of a source and print what was joined."""
    with stoppable(kept=bool(args.detector)):
        rules = Rules(args.threshold, args.most, args.order, not args.repeat)
        files = args.labels, args.chinese
        write(args, "tags", rules, lambda: read_labels(*files, args.language, args.first_index), files)


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `tags` to the verbs of an argument parser."""
    verb = verbs.add_parser(
        "tags", help="join a detector's output into the tag view", description=run.__doc__, examples=EXAMPLES
    )
    add_detections(verb, "tags", most=10)
    verb.add_argument("--labels", metavar="FILE", help="class names: text, JSON of COCO, coco, or coco80")
    verb.add_argument("--chinese", metavar="FILE", help="Chinese names, a line for each class of --labels")
    verb.add_argument("--language", choices=LANGUAGES, default="zh", help="of the tags (default %(default)s)")
    verb.add_argument("--first-index", type=whole, default=0, metavar="N", help="class number of the first line (0)")
    verb.add_argument("--order", choices=ORDERS, default="score", help="score, box area, or left to right")
    verb.add_argument("--repeat", action="store_true", help="keep a tag as often as it was detected")
    verb.set_defaults(run=run)
