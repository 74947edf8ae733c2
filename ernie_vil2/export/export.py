"""Export a model: what cannot be is told first, then files are written, run and described beside their place."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..data.sources.base import Source
from ..errors import ConfigError
from ..files.atomic import clear, replace_directory, reported, sync_directory, temporary_name
from ..files.claim import Claims, inside
from ..files.leftovers import scratch_folder
from . import parity
from .client_process import client_embeddings
from .description import COMMAND, description, is_export, write_description
from .exported_model import AVERAGE, exportable_config, exported_model
from .parity_inputs import drawn_items, items_of
from .target import CLIENT
from .targets import target_of


def export(
    model: str | os.PathLike,
    target: str | os.PathLike,
    to: str,
    *,
    vocab: str | os.PathLike | None = None,
    weights: str = AVERAGE,
    max_length: int | None = None,
    source: Source | None = None,
    replace: bool = False,
) -> list[str]:
    """Write the folder `target` for another runtime and return lines that say what was found by running it.

    model, vocab: as in `load`, the folder of a run apart; to: one of `targets.TARGETS`; weights: of a checkpoint, see
    `exported_model.WEIGHTS`; max_length: of texts, by default the model's own; source: pictures and captions that the
    files are tried on, by default drawn scenes; replace: put it in the place of an earlier export. Raises UserError in
    one sentence, and writes nothing, for what cannot be exported, and where what the files compute differs from the
    model by more than `parity.LARGEST_DIFFERENCE`.
    """
    form = target_of(to)
    claim(target, model, vocab, replace)
    form.check(exportable_config(model, vocab, weights, max_length))
    place = Path(os.path.realpath(target))
    with new_folder(place, replace) as made, scratch_folder(COMMAND) as scratch:
        loaded = exported_model(model, vocab, weights, max_length)
        items = drawn_items(scratch) if source is None else items_of(source, loaded, scratch)
        notes = form.write(loaded, made)
        rows = parity.array_rows(loaded, form.runs(loaded, made), items)
        parity.refuse_difference(rows, to)
        if (made / CLIENT).is_file():
            write_description(made, description(loaded, form, weights, notes))
            found = parity.client_rows(loaded, items, client_embeddings(made, items))
            if form.exact_client:
                parity.refuse_difference(found, to)
            rows += found
        write_description(made, description(loaded, form, weights, notes, rows))
    return [*(f"note: {note}" for note in notes), *parity.table(rows), f"wrote {target}"]


def claim(target: str | os.PathLike, model: str | os.PathLike, vocab: str | os.PathLike | None, replace: bool) -> None:
    """ConfigError in one sentence for a place that must stay as it is."""
    if inside(Path(target), Path(model)):
        raise ConfigError(f"{target} lies in the model that is exported; choose a place outside of {model}")
    Claims(COMMAND, [model, vocab], replace).folder(target, "an export", is_export)
    if not replace and is_export(Path(target)):
        raise ConfigError(f"{target} is an earlier export; choose another name, or give --replace to replace it")


@contextmanager
def new_folder(place: Path, replace: bool) -> Iterator[Path]:
    """A folder beside `place`, which it becomes when the block ends well, and vanishes otherwise. ConfigError where
    another process has made `place` meanwhile and it is not to be replaced."""
    made = temporary_name(place)
    with reported(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        clear(place)
        shutil.rmtree(made, ignore_errors=True)
        try:
            made.mkdir()
            yield made
            sync_directory(made)
            if replace:
                replace_directory(made, place)
            else:
                put(made, place)
        finally:
            shutil.rmtree(made, ignore_errors=True)


def put(made: Path, place: Path) -> None:
    """Rename a folder to a place where nothing is, or an empty folder, which the system looks at in the same moment."""
    try:
        os.rename(made, place)
    except OSError:
        if not os.path.lexists(place):
            raise
        raise ConfigError(
            f"{place} was written by another process meanwhile; choose another name, or give --replace to replace it"
        ) from None
    sync_directory(place.parent)
