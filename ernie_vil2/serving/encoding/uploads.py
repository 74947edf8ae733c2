"""Pictures that were uploaded, as what is kept of them: a vector and the model that made it, under a random token."""

import secrets
from typing import NoReturn

import numpy as np

from ...search.query.recent import Recent
from ..catalog.moment import Moment
from ..refusals import Refusal

TOKEN_BYTES = 18
"""Of a token, which nobody can guess"""


class Uploads:
    """At most `most` vectors by their tokens, those that were asked for last; threads may share it."""

    def __init__(self, most: int):
        self._kept = Recent(most)

    def __len__(self) -> int:
        """Uploads that are remembered."""
        return len(self._kept)

    def add(self, vector: np.ndarray, moment: Moment) -> str:
        """Remember a unit vector float32 [D] of a model of an index; its token."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._kept.put(token, (moment.digest, vector))
        return token

    def vector(self, token: str, moment: Moment) -> np.ndarray:
        """float32 [D]; Refusal `upload_unknown` for a token that is none, or of another model than the index's."""
        digest, vector = self._kept.get(token, unknown)
        if digest != moment.digest:
            unknown()
        return vector


def unknown() -> NoReturn:
    """Refuse a token."""
    raise Refusal(409, "upload_unknown")
