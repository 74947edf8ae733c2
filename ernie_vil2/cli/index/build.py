"""The verb `build` of `index`: a new index, or one that goes on; with `--rebuild` one that takes another's place."""

import argparse
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ...errors import ConfigError, UserError
from ...files.atomic import behind_link, clear, replace_directory, reported
from ...files.paths.place import check_folder
from ...inference.identity import model_digest
from ...search.scan.embedding_scan import opened_embeddings
from ...search.scan.index_model import ModelChoice, described, encoder_of, unknown_model
from ...search.scan.places import EMBEDDINGS, Place, place_of_root
from ...search.scan.removal import pass_over_too
from ...search.scan.scan import rebuilt
from ...search.store.manifest import MANIFEST, Manifest, read_manifest
from ...search.store.writer import open_writer
from ..progress import tell
from ..stopping import stoppable
from .scanning import add_model, add_neighbours, add_quiet, add_sources, choice_of, encoder_for, places_of, scanned

NOTHING: Mapping[str, Any] = MappingProxyType({})

EXAMPLES = """
ernie-vil2 index build photos.index photos --model output/try
ernie-vil2 index build photos.index photos.jsonl videos --model output/try --frames "every 5 s"
ernie-vil2 index build photos.index --embeddings embeds      # made elsewhere
ernie-vil2 index build photos.index --rebuild --model model  # anew, with another model
"""


@stoppable(kept=True)
def run(options: argparse.Namespace) -> None:
    """Build the index, or go on with it."""
    place = Path(os.path.abspath(options.index))
    check_folder(place)
    clear(place)
    places = places_of(options)
    if options.rebuild and (place / MANIFEST).exists():
        rebuild(place, places, options)
        return
    if not places:
        raise ConfigError("no source is named; give a folder, another source, or --embeddings")
    build(place, places, options, choice_of(options))


def build(
    place: Path,
    places: Sequence[Place],
    options: argparse.Namespace,
    choice: ModelChoice,
    thresholds: Mapping[str, Any] = NOTHING,
    roots: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Make an index where there is none, and scan. thresholds: are taken over; roots: of the index that the places are
    those of, and what is passed over in them; none where a person named the places."""
    create, loaded = None, None
    if not (place / MANIFEST).exists():
        create, loaded = begun(places, choice)
    with open_writer(place, create) as writer:
        for name, record in thresholds.items():
            writer.set_threshold(name, record)
        pass_over_too(writer, roots)
        if loaded is None:
            encoder = encoder_for(writer, places, options, choice)
        else:
            encoder = encoder_of(place, writer.manifest, choice, loaded, tell)
        try:
            scanned(writer, places, encoder, options, named=not roots)
        except UserError:
            if create is not None and not writer.snapshot.manifest.segments:
                shutil.rmtree(place, ignore_errors=True)  # nothing is kept, so nothing is left, but of a mounted disk
            raise


def begun(places: Sequence[Place], choice: ModelChoice) -> tuple[Manifest, object]:
    """(manifest that a new index begins with, its model, None where the vectors are of an unknown one)."""
    encoded = [place for place in places if place.kind != EMBEDDINGS]
    if choice.path:
        loaded = choice.load()
        return described(choice, loaded, bool(encoded)), loaded
    if encoded:
        raise ConfigError(f"a model is needed to encode {encoded[0].name}; name one with --model")
    return unknown_model(opened_embeddings(places[0].folder)[0].shape[1]), None


def rebuild(place: Path, places: Sequence[Place], options: argparse.Namespace) -> None:
    """Build an index beside another one, perhaps with another model, and put it into its place when it is whole."""
    place = behind_link(place)
    if os.path.ismount(place):
        raise ConfigError(f"{place} is a mounted disk, whose place no folder can take; build one in a folder of it")
    beside = Path(rebuilt(place))
    with open_writer(place) as old:
        manifest = old.manifest
        roots = () if places else list(manifest.roots.values())
        places = places or [place_of_root(root) for root in roots]
        asked = manifest.neighbours.get("image", {}).get("asked", {})
        options.type = options.type or asked.get("kind", "")
        options.memory = options.memory or (asked.get("memory") or 0) // 10**6
        choice = choice_of(options)
        if not choice.path and any(one.kind != EMBEDDINGS for one in places):
            made = manifest.model
            choice = ModelChoice(**{name: value or made.get(name, "") for name, value in vars(choice).items()})
        if (beside / MANIFEST).exists() and not is_of(read_manifest(beside), choice):
            shutil.rmtree(beside)
        build(beside, places, options, choice, manifest.thresholds if is_of(manifest, choice) else NOTHING, roots)
        with reported(place):
            replace_directory(beside, place)
    print(f"{options.index} was replaced")


def is_of(manifest: Manifest, choice: ModelChoice) -> bool:
    """Whether an index was made with a model, in the same precision."""
    digest, precision = (manifest.model.get(name, "") for name in ("digest", "precision"))
    return digest == (model_digest(choice.path) if choice.path else "") and (precision or "fp32") == (
        choice.precision or "fp32"
    )


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `build` to the verbs of an argument parser."""
    verb = verbs.add_parser(
        "build", help="make an index of pictures, or go on with one", description=run.__doc__, examples=EXAMPLES
    )
    verb.add_argument("index", metavar="DIR", help="folder of the index")
    add_sources(verb)
    add_model(verb, "model directory, the folder of a run, or .pdparams; of an index that is there the same one")
    add_neighbours(verb)
    add_quiet(verb)
    told = "encode everything anew, beside the index, which is replaced at the end; without SOURCE of its own sources"
    verb.add_argument("--rebuild", action="store_true", help=told)
    verb.set_defaults(run=run)
