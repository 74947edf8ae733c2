"""The pictures, captions and labels of drawn scenes, as the tasks that exist take them."""

import hashlib

import numpy as np

from ....data.sources.scenes.likeness import shown_kinds
from ....data.sources.scenes.source import SceneSource
from ...metrics.plain_likeness import colour_histogram
from ..retrieval.pairs import Pairs

BINS = 4
"""Levels of a colour in histograms: of 4, 6 and 8 the number with the highest mAP@100."""


class Drawings:
    """Pictures RGB uint8 [S, S, 3] of a source by row, drawn when they are asked for: many large ones would not fit.

    What is small stays of each that was drawn: `boxes` float32 [n, 4] by row, None before, and `colours` float32
    [N, BINS^3], its colour histogram. Known from the start: `marks` bool [N, 64], the labels.
    """

    def __init__(self, source: SceneSource) -> None:
        self.source = source
        self.boxes: list[np.ndarray | None] = [None] * len(source)
        self.colours = np.zeros((len(source), BINS**3), np.float32)
        self.marks = np.stack([shown_kinds(source.scene(row)) for row in range(len(source))])

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, row: int) -> np.ndarray:
        sample = self.source[row]
        self.boxes[row] = np.array(sample.boxes, np.float32).reshape(-1, 4)
        self.colours[row] = colour_histogram(sample.image[None], BINS)[0]
        return sample.image

    def where(self, row: int) -> str:
        """The place that names a picture."""
        return self.source.where(row)

    def pairs(self, name: str, with_texts: bool = True) -> Pairs:
        """Pairs of the pictures and all their captions, or of pictures alone.

        A caption that two scenes share is one text, and right for both. The checksum of captions and labels is in
        `files`; boxes are those of the objects, known once the picture is drawn.
        """
        texts, links = {}, []
        for row in range(len(self)) if with_texts else ():
            for text in dict.fromkeys(self.source.words(row)[0]):
                links.append((texts.setdefault(text, len(texts)), row))
        told = hashlib.sha256(self.marks.tobytes() + "\0".join(texts).encode()).hexdigest()
        return Pairs(
            name,
            tuple(self.source.key(row) for row in range(len(self))),
            self,
            tuple(texts),
            np.array(sorted(links), np.int64).reshape(-1, 2),
            {"captions and labels": told},
            boxes=self.boxes,
        )
