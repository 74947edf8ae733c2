"""A fixture: inputs, and what the release computes of them.

A fixture holds texts.json, images/ (in the order of their names) and expected.npz: input_ids [T, L], crops [I, S, S, 3]
uint8, raw text_embeds [T, D] and image_embeds [I, D], pair_loss and logit_scale (the symmetric InfoNCE of the first
texts with the images, one to one); optionally gradients.json, the L2 norm of that loss's gradient for every parameter.
"""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..files.json_files import read_json
from ..files.paths.litter import is_litter

ARRAYS = ("input_ids", "crops", "text_embeds", "image_embeds", "pair_loss", "logit_scale")


@dataclass
class Fixture:
    """A fixture directory in memory."""

    texts: list[str]
    images: list[Path]
    expected: dict[str, np.ndarray]
    gradients: dict[str, float] | None


def read_fixture(folder: str | Path) -> Fixture:
    """Fixture from a directory; DataError says which file is missing or does not fit."""
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"no fixture directory at {folder}; it holds texts.json, images/ and expected.npz")
    try:
        texts = read_json(folder / "texts.json")
        with np.load(folder / "expected.npz", allow_pickle=False) as file:
            expected = {name: file[name] for name in ARRAYS if name in file.files}
        images = sorted(path for path in (folder / "images").iterdir() if not is_litter(path.name))
        gradients = folder / "gradients.json"
        norms = read_json(gradients)["grad_norms"] if gradients.is_file() else None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"fixture {folder} cannot be read ({type(error).__name__}: {error}); copy it again") from None
    missing = [name for name in ARRAYS if name not in expected]
    if missing:
        raise DataError(f"{folder}/expected.npz lacks {', '.join(missing)}; copy the fixture again")
    for name, items, of in (
        ("input_ids", texts, "texts.json"),
        ("text_embeds", texts, "texts.json"),
        ("crops", images, "images/"),
        ("image_embeds", images, "images/"),
    ):
        if len(expected[name]) != len(items) or not len(items):
            raise DataError(
                f"{folder}: {name} has {len(expected[name])} rows but {of} {len(items)} items; copy the fixture again"
            )
    return Fixture(texts, images, expected, norms)
