"""Texts and pictures of many requests as vectors, in batches of whoever asks at the same time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from ...errors import UserError
from ...inference.batch_sizes import CPU_BATCH
from ...inference.single_batches import SingleBatches
from ...search.query.recent import Recent
from ..catalog.moment import Moment
from ..pools import Pool
from ..refusals import Refusal, refused
from ..settings import ServerSettings
from .lanes import Gone, Lane, together
from .models import Models
from .text_groups import first_group
from .uploaded_image import UploadedImage, read_image

LOG = logging.getLogger("ernie_vil2")
REMEMBERED = 1024
"""Texts of a model whose vectors are kept, so that another page or filter costs no encoding"""


class Tower:
    """A side of a model at work: its lane, and of texts the vectors that were asked for last."""

    def __init__(self, batches: SingleBatches, side: str, seen: Callable[[str, int], object]):
        encode, group = batches.images, together
        if side == "text":
            encode, group = batches.texts, partial(first_group, overhead=batches.overhead)
        self.lane = Lane(f"{side}s", encode, CPU_BATCH[side], group, lambda count: seen(side, count))
        self.recent = Recent(REMEMBERED)


class Encoders:
    """Encoding for all indexes. Lives in one event loop, but for `prepare` and `loaded`.

    working: the threads that decode pictures. seen: called with the side and the number of items of every batch.
    models: the models; held: requests that are being encoded or wait for it.
    """

    def __init__(
        self,
        settings: ServerSettings,
        working: Pool,
        seen: Callable[[str, int], object] = lambda side, count: None,
    ):
        self._settings, self._working, self._seen = settings, working, seen
        self.models = Models(settings)
        self._towers: dict[tuple[SingleBatches, str], Tower] = {}
        self._loading = ThreadPoolExecutor(1, thread_name_prefix="model")
        self.held = 0

    def prepare(self, moment: Moment) -> None:
        """Load the model of an index, if it is known; blocks. What is wrong goes to the log, and to whoever asks."""
        if moment.digest:
            try:
                self.models.load(moment)
            except UserError as error:
                LOG.warning("%s", f"{moment.name}: {error}")

    def loaded(self, moment: Moment) -> bool:
        """Whether the model of an index is loaded."""
        return self.models.get(moment) is not None

    def waiting(self, side: str) -> int:
        """Items of a side that wait."""
        return sum(len(tower.lane) for (_, kind), tower in self._towers.items() if kind == side)

    async def model(self, moment: Moment) -> SingleBatches:
        """The model of an index, loaded if it is not yet; Refusal `model_missing`."""
        found = self.models.get(moment)
        if found is not None:
            return found
        with refused("model_missing", 503 if moment.digest else 400, index=moment.name):
            return await asyncio.get_running_loop().run_in_executor(self._loading, self.models.load, moment)

    async def texts(self, moment: Moment, texts: Sequence[str], gone: Gone | None = None) -> list[np.ndarray]:
        """float32 [D] each: unit vectors of texts that are some, by the model of an index.

        gone: `Request.is_disconnected`; what nobody waits for is not encoded. Refusals: `model_missing`; `busy` where
        too many requests wait already; `gone`.
        """
        batches = await self.model(moment)
        tower = self._tower(moment, batches, "text")
        known = {text: vector for text in dict.fromkeys(texts) if (vector := tower.recent.find(text)) is not None}
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing:
            with self._place(tower.lane):
                for first in range(0, len(missing), CPU_BATCH["text"]):
                    part = missing[first : first + CPU_BATCH["text"]]
                    tokens = [batches.tokens(text) for text in part]
                    asked = zip(part, tokens, strict=True)
                    made = await all_of([tower.lane.vector(own, gone, text, len(own)) for text, own in asked])
                    for text, vector in zip(part, made, strict=True):
                        tower.recent.put(text, vector)
                        known[text] = vector
        return [known[text] for text in texts]

    async def image(self, moment: Moment, image: Any, gone: Gone | None = None) -> tuple[np.ndarray, UploadedImage]:
        """(float32 [D]: the unit vector of the bytes, path or open file of a picture; what its header says).

        Refusals: as of texts, and `image` for what cannot be decoded or is over a limit, by its header.
        """
        batches = await self.model(moment)
        tower = self._tower(moment, batches, "image")
        with self._place(tower.lane):
            read = await self._working(read_image, batches, image)
            return await tower.lane.vector(read.entry, gone), read

    async def vector(self, moment: Moment, kind: str, item: Any, gone: Gone | None = None) -> np.ndarray:
        """float32 [D]: of a text or an image, by the names that a Query has for them."""
        return (
            (await self.texts(moment, [item], gone))[0] if kind == "text" else (await self.image(moment, item, gone))[0]
        )

    @contextmanager
    def _place(self, lane: Lane) -> Iterator[None]:
        """One of the requests that may wait."""
        if self.held >= self._settings.queue:
            raise Refusal(429, "busy", retry_after=lane.wait, seconds=lane.wait)
        self.held += 1
        try:
            yield
        finally:
            self.held -= 1

    def _tower(self, moment, batches, side):
        if side not in batches.sides:
            raise Refusal(400, "no_tower", index=moment.name, side=side)
        tower = self._towers.get((batches, side))
        if tower is None:
            held = self.models.held()
            for key in [key for key in self._towers if key[0] not in held]:
                self._towers.pop(key).lane.stop()
            tower = self._towers[batches, side] = Tower(batches, side, self._seen)
        return tower

    def stop(self) -> None:
        """End threads; what is being encoded ends by itself."""
        self._loading.shutdown(wait=False, cancel_futures=True)
        for tower in self._towers.values():
            tower.lane.stop()


async def all_of(asked: Sequence[Awaitable[np.ndarray]]) -> list[np.ndarray]:
    """The results of all, once all have ended; raises the first fault."""
    found = await asyncio.gather(*asked, return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException):
            raise one
    return found
