"""The release's way: Paddle with its own settings, one image or caption at a time, every caption padded to the end.

The layers are this project's, which compute what the release's do.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .... import load
from .encoder import serve, unit

START = (
    "import paddle; "  # before the library, whose settings then come too late
    "from ernie_vil2.studies.speed.encoding import release; release.main()"
)
VARIABLES = {"MALLOC_ARENA_TEST": "8"}
"""The C library's own default; that it is set keeps the library from changing the others."""
SHARE = 8
"""It is so slow that it gets one of so many items; one at a time, its speed does not depend on how many."""


class OneByOne:
    """Encodes as the release does."""

    told = ""

    def __init__(self, job: Mapping[str, Any]):
        self.model = load(job["model"], engine="paddle")
        self.model.network.eval()

    def encode(self, kind: str, items: Sequence[str]) -> np.ndarray:
        return unit(np.concatenate([self.image(item) if kind == "images" else self.text(item) for item in items]))

    def image(self, path: str) -> np.ndarray:
        """[1, D] of an image file."""
        import paddle

        return self.model.network.encode_image(paddle.to_tensor(self.model.preprocess(path)[None])).numpy()

    def text(self, caption: str) -> np.ndarray:
        """[1, D] of a caption."""
        import paddle

        ids = self.model.tokenize(caption)
        padded = np.pad(ids, ((0, 0), (0, self.model.config.max_length - ids.shape[1])))
        return self.model.network.encode_text(paddle.to_tensor(padded)).numpy()


def main() -> None:
    """The process of the side `release`."""
    serve(OneByOne)
