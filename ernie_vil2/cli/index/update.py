"""The verb `update` of `index`: what is new, moved, changed or gone in the places of an index."""

import argparse

from ...errors import failed
from ...search.scan.places import place_of_root, root_named, with_moved
from ...search.store.writer import open_writer
from ..stopping import stoppable
from .scanning import add_model, add_neighbours, add_quiet, encoder_for, scanned

EXAMPLES = """
ernie-vil2 index update photos.index
ernie-vil2 index update photos.index --quiet                 # from a timer
ernie-vil2 index update photos.index --moved photos /data/photos
"""


@stoppable(kept=True)
def run(options: argparse.Namespace) -> int | None:
    """Scan the places of the index again; 1 where one of several could not be looked at."""
    with open_writer(options.index) as writer:
        for name, path in options.moved:
            writer.manifest = with_moved(writer.manifest, name, path)
        numbers = [root_named(writer.manifest, name) for name in options.source] or list(writer.manifest.roots)
        places = [place_of_root(writer.manifest.roots[number]) for number in dict.fromkeys(numbers)]
        patient = len(places) > 1
        report = scanned(writer, places, encoder_for(writer, places, options), options, patient, named=False)
    for sentence in report.missing:
        failed(sentence)
    return 1 if report.missing else None


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `update` to the verbs of an argument parser."""
    verb = verbs.add_parser(
        "update", help="bring an index up to date with its sources", description=run.__doc__, examples=EXAMPLES
    )
    verb.add_argument("index", metavar="DIR", help="the index")
    told = "look at this source alone, as it was given or by its folder; may be repeated"
    verb.add_argument("--source", action="append", default=[], metavar="S", help=told)
    told = "the folder S of the index is now at NEW, its files as they were: their rows stay; may be repeated"
    verb.add_argument("--moved", nargs=2, action="append", default=[], metavar=("S", "NEW"), help=told)
    add_model(verb, "where the model of the index is now, if it was moved")
    add_neighbours(verb)
    add_quiet(verb)
    verb.set_defaults(run=run)
