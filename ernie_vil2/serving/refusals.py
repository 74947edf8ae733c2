"""Why a request is not answered: a code for programs and one sentence for people, in English or Chinese."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import UserError
from ..messages import brief
from .sentences import SENTENCES

LANGUAGES = ("en", "zh")
CHINESE, DETAIL = "_zh", "detail"


class Refusal(Exception):
    """A request that is refused.

    status: of HTTP. code: a key of SENTENCES. retry_after: seconds after which it may be asked again. values: what its
    sentence names, of texts as much as a person can be shown; one whose name ends in _zh stands, in Chinese, for the
    one without, and `detail` is answered only where a sentence names it: it may tell where on the disk something is.
    """

    def __init__(self, status: int, code: str, retry_after: int | None = None, **values: Any):
        super().__init__(status, code, values)
        self.status, self.code, self.retry_after = status, code, retry_after
        self.values = {name: brief(value) if isinstance(value, str) else value for name, value in values.items()}

    def sentence(self, language: str = "en") -> str:
        """Why, in one sentence of a language of LANGUAGES."""
        values = {**self.values}
        if language == "zh":
            values |= {name.removesuffix(CHINESE): text for name, text in values.items() if name.endswith(CHINESE)}
        return brief(SENTENCES[self.code][LANGUAGES.index(language)].format(**values))

    def record(self, language: str) -> dict[str, Any]:
        """What is answered."""
        told = "".join(SENTENCES[self.code])
        hidden = {name for name in self.values if name.endswith(CHINESE) or name == DETAIL and "{detail}" not in told}
        values = {name: value for name, value in self.values.items() if name not in hidden}
        return {"error": {"code": self.code, "message": self.sentence(language), "values": values}}


def language_of(accepted: str) -> str:
    """zh or en, whichever stands first in the header Accept-Language, by its weights; en where neither does."""
    wanted: list[tuple[float, int, str]] = []
    for place, item in enumerate(accepted[:1000].split(",")):
        name, _, rest = item.strip().partition(";")
        weight = rest.strip().removeprefix("q=")
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            quality = 0.0
        language = name.strip().lower().partition("-")[0]
        if language in LANGUAGES and quality > 0:
            wanted.append((-quality, place, language))
    return min(wanted, default=(0, 0, "en"))[2]


@contextmanager
def refused(code: str, status: int = 400, **values: Any) -> Iterator[None]:
    """A UserError of the library as the Refusal of a code; its sentence is the value `detail`, where none is given."""
    try:
        yield
    except UserError as error:
        raise Refusal(status, code, **{"detail": str(error), **values}) from error
