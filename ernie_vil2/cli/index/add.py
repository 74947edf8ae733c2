"""The verb `add` of `index`: more places for an index."""

import argparse

from ...errors import ConfigError
from ...search.store.writer import open_writer
from ..stopping import stoppable
from .scanning import add_model, add_neighbours, add_quiet, add_sources, encoder_for, places_of, scanned

EXAMPLES = """
ernie-vil2 index add photos.index more_photos
"""


@stoppable(kept=True)
def run(options: argparse.Namespace) -> None:
    """Scan the places that are named, as parts of the index."""
    places = places_of(options)
    if not places:
        raise ConfigError("no source is named; give a folder, another source, or --embeddings")
    with open_writer(options.index) as writer:
        scanned(writer, places, encoder_for(writer, places, options), options)


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `add` to the verbs of an argument parser."""
    verb = verbs.add_parser("add", help="add more sources to an index", description=run.__doc__, examples=EXAMPLES)
    verb.add_argument("index", metavar="DIR", help="the index")
    add_sources(verb)
    add_model(verb, "where the model of the index is now, if it was moved")
    add_neighbours(verb)
    add_quiet(verb)
    verb.set_defaults(run=run)
