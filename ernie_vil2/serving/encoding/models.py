"""The models of the indexes: each is loaded once, however many indexes were made with it."""

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import UserError
from ...inference.identity import model_digest
from ...inference.single_batches import SingleBatches
from ...search.query.model_opening import opened_model
from ..catalog.moment import Moment
from ..settings import ServerSettings

Key = tuple[str, str]
"""Digest of a model, and the path of a vocabulary that does not lie in it"""
FAILED = 5.0
"""Seconds for which a model that could not be loaded is not tried again"""
UNUSED = 1
"""Models that are kept though no index has them any more: requests may be under way that began before"""


def key_of(moment: Moment) -> Key:
    """What the model of an index is known by."""
    return moment.digest, moment.manifest.model.get("vocab") or ""


class Models:
    """The models by digest; threads may share it."""

    def __init__(self, settings: ServerSettings):
        self._settings = settings
        self._loaded: dict[Key, SingleBatches] = {}
        self._failed: dict[Key, tuple[float, UserError]] = {}
        self._users: dict[str, Key] = {}
        self._lock = threading.Lock()

    def get(self, moment: Moment) -> SingleBatches | None:
        """The model of an index, if it is loaded."""
        return self._loaded.get(key_of(moment))

    def held(self) -> list[SingleBatches]:
        """All that are loaded."""
        return list(self._loaded.values())

    def load(self, moment: Moment) -> SingleBatches:
        """The model of an index; blocks until it is loaded and has encoded something. The one that an index had before
        goes where no other one has it. Raises what `opened_model` does."""
        key = key_of(moment)
        with self._lock:
            if key not in self._loaded:
                self._loaded[key] = self._opened(key, moment)
            self._users[moment.name] = key
            unused = [other for other in self._loaded if other not in self._users.values()]
            for other in unused[: len(unused) - UNUSED]:
                del self._loaded[other]
            return self._loaded[key]

    def _opened(self, key, moment):
        when, error = self._failed.get(key, (0.0, None))
        if error is not None and time.monotonic() - when < FAILED:
            raise error
        try:
            made_with, width, settings = moment.manifest.model, moment.manifest.width, self._settings
            given = self._given(made_with)
            batches = SingleBatches(opened_model(made_with, width, given, settings.engine, settings.precision))
            batches.warm()
        except UserError as error:
            self._failed[key] = time.monotonic(), error
            raise
        self._failed.pop(key, None)
        return batches

    def _given(self, made_with: Mapping[str, Any]) -> str | None:
        """The path of the settings, where it is that of this index's model, or where the index's own is not there."""
        given, own = self._settings.model, made_with.get("path")
        if given is None or own and Path(own).exists() and model_digest(given) != made_with.get("digest"):
            return None
        return given
