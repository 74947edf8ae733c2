"""An index of the demo's unseen scenes with their captions, and one search in it."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...files.paths.program import typed
from ...inference.model import Model
from ...messages import plain
from ...search.index import open_index
from ...search.query.hit_table import hit_table
from ...search.scan.index_model import ModelChoice, described, encoder_of
from ...search.scan.places import place_of
from ...search.scan.scan import scan
from ...search.store.writer import open_writer

INDEX = "index"
"""Folder of the index, in that of the demo's run"""
SHOWN_HITS = 5


def index_scenes(folder: Path, checkpoint: Path, model: Model, options: Mapping[str, Any]) -> None:
    """Write an index of a source of scenes, of these options, in the place of an earlier one.

    model: that of the checkpoint, loaded.
    """
    if folder.is_dir():
        shutil.rmtree(folder)
    choice = ModelChoice(str(checkpoint))
    with open_writer(folder, described(choice, model)) as writer:
        encoder = encoder_of(folder, writer.manifest, choice, model)
        scan(writer, [place_of(json.dumps({"kind": "scenes", **options}))], encoder)


def search_told(folder: Path, model: Model, text: str) -> str:
    """What the index has for a sentence: the command that asks for it, its hits, and the command that opens the page on
    which to ask more."""
    index = open_index(folder, model)
    hits = index.search(text, k=SHOWN_HITS)
    search = typed("search", folder, text, "--k", f"{SHOWN_HITS}")
    told = plain(f"{len(index):,} unseen images are indexed; {search}")
    return f"{told}\n{hit_table(hits)}\n{plain('search in them in the browser: ' + typed('serve', folder))}"
