"""Export a model: what cannot be is told first, then files are written, run and described beside their place."""

import os

from ..data.sources.base import Source
from ..files.atomic import reported
from ..files.leftovers import scratch_folder
from ..files.run_folder import told_model
from . import parity
from .client_process import client_embeddings
from .description import COMMAND, description, write_description
from .exported_model import AVERAGE, exportable_config, exported_model
from .parity_inputs import drawn_items, items_of
from .place import claim, new_folder
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

    model, vocab: as in `load`; to: one of `targets.TARGETS`; weights: of a checkpoint, see
    `exported_model.WEIGHTS`; max_length: of texts, by default the model's own; source: pictures and captions that the
    files are tried on, by default drawn scenes; replace: put it in the place of an earlier export. Raises UserError in
    one sentence, and writes nothing, for what cannot be exported, and where what the files compute differs from the
    model by more than `parity.LARGEST_DIFFERENCE`.
    """
    form = target_of(to)
    claim(target, model, vocab, replace)
    model = told_model(model)
    form.check(exportable_config(model, vocab, weights, max_length))
    loaded = exported_model(model, vocab, weights, max_length)
    with scratch_folder(COMMAND) as scratch, new_folder(target, replace) as made:
        with reported(scratch, "nothing was written"):
            items = drawn_items(scratch) if source is None else items_of(source, loaded, scratch)
        notes = form.write(loaded, made)
        rows = parity.array_rows(loaded, form.runs(loaded, made), items)
        parity.refuse_difference(rows, to)
        write_description(made, description(loaded, form, weights, notes))
        found = parity.client_rows(loaded, items, client_embeddings(made, items, form.does_without))
        if form.exact_client:
            parity.refuse_difference(found, to)
        write_description(made, description(loaded, form, weights, notes, [*rows, *found]))
    return [*(f"note: {note}" for note in notes), *parity.table([*rows, *found]), f"wrote {target}"]
