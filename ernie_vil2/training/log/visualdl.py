"""The VisualDL side of a run's log: scalars, histograms, images and the embedding projector."""

import os
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .console import writable

BINS = 50
MOST_POINTS = 1000
"""Rows of the projector; the page draws no more without getting slow."""


class Visual:
    """Writes a new record file into `folder`.

    VisualDL shows the newest file of a folder only, so a run that goes on from `start_step` carries over what its older
    file holds up to there: histograms, images and projections; scalars come from the records of log.jsonl.
    """

    def __init__(self, folder: Path, start_step: int = 0) -> None:
        os.environ.setdefault("VDL_QUEUE_TIMEOUT", "3")  # seconds; its writer's thread may have died on a full disk
        from visualdl import LogWriter

        older = sorted(folder.glob("vdlrecords.*.log")) if start_step else []
        self.writer = LogWriter(logdir=str(folder), file_name=f"vdlrecords.{time.time_ns() // 1000}.log")
        if older:
            try:
                self._carry_over(older[-1], start_step)
            # The older file may be damaged in any way, and its reader promises nothing about what it then raises;
            # a run must not be lost for the pictures of its past.
            except Exception as error:
                warnings.warn(
                    f"{older[-1]}: cannot be carried over into the new VisualDL file ({error!r}); "
                    "keep the file to look at it by itself",
                    stacklevel=2,
                )

    def _carry_over(self, path, start_step):
        from google.protobuf.message import DecodeError
        from visualdl.proto.record_pb2 import Record
        from visualdl.reader.record_reader import RecordReader

        for data in RecordReader(str(path)).get_all():
            record = Record()
            try:
                record.ParseFromString(data)
            except DecodeError:  # the run was killed while it wrote its last record
                return
            if not record.values:  # it was killed right behind the length of that record
                return
            value = record.values[0]
            if value.WhichOneof("one_value") not in ("value", "meta_data") and value.id <= start_step:
                self.writer._get_file_writer().add_record(record)

    def scalars(self, kind: str, step: int, values: Mapping[str, object]) -> None:
        """A scalar `kind/name` for every number among {name: value}."""
        for key, value in values.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                self.writer.add_scalar(tag=f"{kind}/{key}", step=step, value=value)

    def histogram(self, tag: str, step: int, values: np.ndarray) -> None:
        """A histogram of an array of any shape; values that are not finite are left out."""
        values = np.asarray(values, np.float32).ravel()
        values = values[np.isfinite(values)]
        if len(values):
            self.writer.add_histogram(tag=tag, values=values, step=step, buckets=BINS)

    def images(self, tag: str, step: int, image: np.ndarray) -> None:
        """An image, uint8 RGB [H, W, 3]."""
        self.writer.add_image(tag=tag, img=np.asarray(image, np.uint8), step=step, dataformats="HWC")

    def text(self, tag: str, step: int, text: str) -> None:
        """A text of some lines."""
        self.writer.add_text(tag=tag, text_string="\n".join(map(writable, text.split("\n"))), step=step)

    def projector(self, tag: str, step: int, embeds: np.ndarray, labels: Mapping[str, Sequence[str]]) -> None:
        """Evenly spaced rows of embeds [N, D], at most 1,000, with their labels {column: [N texts]}."""
        embeds = np.asarray(embeds, np.float32)
        rows = np.unique(np.linspace(0, len(embeds) - 1, min(len(embeds), MOST_POINTS)).astype(int))
        self.writer.add_embeddings(
            tag=f"{tag}/step-{step:07d}",
            mat=embeds[rows].tolist(),
            metadata=[[writable(str(texts[row])) for row in rows] for texts in labels.values()],
            metadata_header=list(labels),
        )

    def close(self) -> None:
        """Flush and close."""
        self.writer.close()
