"""The verb `boxes` of `data`: detections, read from files or made by a detector, become boxes of a source."""

import argparse

from ...data.tagging.rules import Rules
from ..stopping import stoppable
from .detections import add_detections, write

MOST = 36
"""As many as BriVL takes of an image"""

EXAMPLES = """
ernie-vil2 data boxes photos.jsonl boxes.jsonl detections.json
ernie-vil2 data boxes photos.jsonl boxes.jsonl --detector picodet --threshold 0.5
"""


def run(args: argparse.Namespace) -> None:
    """Write the boxes of a source, the surest first, and print what was joined."""
    with stoppable(kept=bool(args.detector)):
        write(args, "boxes", Rules(args.threshold, args.most, once=False), lambda: None)


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `boxes` to the verbs of an argument parser."""
    verb = verbs.add_parser(
        "boxes", help="join a detector's output into boxes of images", description=run.__doc__, examples=EXAMPLES
    )
    add_detections(verb, "boxes", MOST)
    verb.set_defaults(run=run)
