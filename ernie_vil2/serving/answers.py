"""Answers in JSON, whatever a file is called: bytes of a name that are no text are halves of surrogate pairs."""

import json
from typing import Any

from starlette.responses import JSONResponse


class Answer(JSONResponse):
    """JSON in UTF-8, in which lone halves of surrogate pairs are escaped, as JSON can have them and UTF-8 cannot."""

    def render(self, content: Any) -> bytes:
        """The bytes of the body."""
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8", "backslashreplace")
