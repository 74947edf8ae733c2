"""Cosines of pairs that somebody has labelled: of pictures and sentences, in an index or beside it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..data.sources.rows.images import image_path
from ..data.sources.rows.texts import shorten
from ..errors import ConfigError, DataError
from ..evaluation.encoding import Progress, encode_images
from ..evaluation.labelled_pairs import LabelledPairs
from ..evaluation.left_out import LeftOut
from ..evaluation.metrics.finite import finite
from ..evaluation.metrics.wanted_precision import Choice

if TYPE_CHECKING:
    from ..inference.model import Model
    from .store.part import Part

KINDS = {"image-image": ("image", "image"), "text-image": ("text", "image")}
"""What pairs may be of, and what stands left and right in them"""
WINDOW = 4096
"""Texts encoded, and pairs multiplied, at a time"""
Load = Callable[[], "Model"]


class PairVectors:
    """Unit vectors of the items of pairs.

    folder: what paths of pictures are relative to. load: gives the model, and is called only when something must be
    encoded. part: the pictures of an index, whose ids and keys are items too.
    """

    def __init__(self, folder: Path, load: Load, part: "Part | None" = None, progress: Progress | None = None) -> None:
        self.folder, self.load, self.part, self.progress = folder, load, part, progress

    def scores(self, pairs: LabelledPairs, of: str) -> np.ndarray:
        """float64 [N]: the cosines of the pairs. of: one of KINDS. DataError names the row of an item that is none."""
        sides = [
            self._side(kind, items, pairs.where)
            for kind, items in zip(KINDS[of], (pairs.left, pairs.right), strict=True)
        ]
        found = np.empty(len(pairs.where))
        for start in range(0, len(found), WINDOW):
            part = slice(start, start + WINDOW)
            one, other = (vectors[places[part]] for vectors, places in sides)
            found[part] = np.einsum("nd,nd->n", one, other, dtype=np.float64)
        return found

    def _side(self, kind: str, items: Sequence[str], where: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """(float32 [U, D] of the different items, int64 [N]: which of them stands in each pair)."""
        numbers: dict[str, int] = {}
        places = np.array([numbers.setdefault(item, len(numbers)) for item in items], np.int64)
        first = dict(zip(reversed(items), reversed(where), strict=True))
        rows = [first[item] for item in numbers]
        vectors = self._texts(list(numbers), rows) if kind == "text" else self._images(list(numbers), rows)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.maximum(norms, np.finfo(np.float32).tiny), places

    def _texts(self, texts, where):
        model, found = self.load(), []
        for start in range(0, len(texts), WINDOW):
            vectors, failures = model.encode_text(texts[start : start + WINDOW], on_error="skip")
            for position, reason in failures:
                raise DataError(f"{where[start + position]}: {reason}")
            found.append(finite(vectors, lambda row, start=start: where[start + row]))
        return np.concatenate(found)

    def _images(self, items, where):
        ids = self._ids(items, where)
        known, others = np.flatnonzero(ids >= 0), np.flatnonzero(ids < 0)
        paths = [image_path(items[place], where[place], self.folder, allow_outside=True) for place in others]
        made = self._encoded(paths, [where[place] for place in others]) if paths else None
        width = self.part.width if made is None else made.shape[1]
        found = np.empty((len(items), width), np.float32)
        if len(known):
            found[known] = self.part.vectors(ids[known])
        if made is not None:
            found[others] = made
        return found

    def _encoded(self, paths, where):
        windows = encode_images(self.load(), paths, where.__getitem__, LeftOut(), progress=self.progress)
        return np.concatenate([vectors for _, vectors in windows])

    def _ids(self, items, where):
        """int64 [U]: ids of the pictures of the index that items name, -1 for files beside it."""
        ids, keys = np.full(len(items), -1), self._by_key(items)
        for place, item in enumerate(items):
            if item.isascii() and item.isdecimal():
                if self.part is None:
                    told = f"{item} is the id of a picture in an index, and none is given; name a file"
                    raise DataError(f"{where[place]}: {told}")
                ids[place] = min(int(item[:20]), np.iinfo(np.int64).max)
            elif len(found := keys.get(item, ())) > 1:
                told = f"{shorten(item)} is in several sources of the index, for example as {found[0]} and {found[1]}"
                raise DataError(f"{where[place]}: {told}; write one of these ids")
            elif found:
                ids[place] = found[0]
        missing = np.flatnonzero((ids >= 0) & ~np.isin(ids, self.part.live_ids())) if self.part is not None else ()
        for place in missing:
            raise DataError(f"{where[place]}: the index has no picture {shorten(items[place])}; correct the id")
        return ids

    def _by_key(self, items: Sequence[str]) -> dict[str, list[int]]:
        """{key: ids of the living pictures of the index that have it} of those among the items."""
        found: dict[str, list[int]] = {}
        if self.part is not None:
            named = pc.is_in(self.part.table["key"], value_set=pa.array(items, pa.string())).to_numpy()
            rows = np.flatnonzero(named & self.part.live)
            keys = self.part.table["key"].take(pa.array(rows)).to_pylist()
            for key, number in zip(keys, self.part.ids[rows].tolist(), strict=True):
                found.setdefault(key, []).append(number)
        return found


def threshold_record(choice: Choice, of: str, model: dict[str, Any], sha256: str) -> dict[str, Any]:
    """What an index keeps of a threshold, figures in percent: `threshold` itself, and how sure it is."""
    found, held_out = choice.decision, choice.held_out
    return {
        "threshold": found.threshold,
        "of": of,
        "model": model.get("digest", ""),
        "wanted_precision": choice.wanted,
        "pairs": {"same": choice.right, "different": choice.wrong, "sha256": sha256},
        "precision": found.precision,
        "precision_interval": list(choice.precision),
        "balanced_precision": found.balanced_precision,
        "recall": found.recall,
        "recall_interval": list(choice.recall),
        "held_out": vars(held_out),
    }


def checked_name(name: str) -> str:
    """A threshold's name; ConfigError for one that could be taken for a number or for an option."""
    plain = name.replace("-", "a").replace("_", "a")
    if not (name[:1].isalpha() and plain.isalnum() and len(name) <= 40) or name.lower() in ("nan", "inf", "infinity"):
        raise ConfigError(
            f"{shorten(name)} is no name of a threshold; begin it with a letter, with letters, digits, - and _ after it"
        )
    return name
