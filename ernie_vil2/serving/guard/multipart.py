"""The one picture of an upload, from a form or as the body itself: in memory alone, never more than may be."""

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from ..refusals import Refusal
from .body_limit import ENVELOPE

FORM = "multipart/form-data"


class PartReader:
    """What is in the form's part that a field is wanted of; any other part, and a second one, is refused."""

    def __init__(self, boundary: bytes, field: str, most: int) -> None:
        self.field, self.most = field.encode(), most
        self.content, self.parts, self.ended = bytearray(), 0, False
        self._name, self._value, self._disposition = bytearray(), bytearray(), b""
        calls = {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header,
            "on_headers_finished": self._headers,
            "on_part_data": self._data,
            "on_end": self._end,
        }
        try:
            self._parser = MultipartParser(boundary, calls)
        except FormParserError:
            raise Refusal(400, "form_broken") from None

    def write(self, data: bytes) -> None:
        """Read on. Raises Refusal 400 for what is no form of one part, and 413 for a part over the limit."""
        try:
            self._parser.write(data)
        except FormParserError:
            raise Refusal(400, "form_broken") from None

    def finish(self) -> bytes:
        """The part, once all was read. Raises Refusal 400 where its end or itself is missing."""
        if not self.parts:
            raise Refusal(400, "form_missing", field=self.field.decode())
        if not self.ended:
            raise Refusal(400, "form_broken")
        return bytes(self.content)

    def _begin(self) -> None:
        self.parts += 1
        if self.parts > 1:
            raise Refusal(400, "form_parts", field=self.field.decode())

    def _header(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _headers(self) -> None:
        kind, options = parse_options_header(self._disposition)
        if kind != b"form-data" or options.get(b"name") != self.field:
            raise Refusal(400, "form_missing", field=self.field.decode())

    def _data(self, data: bytes, start: int, end: int) -> None:
        if len(self.content) + end - start > self.most:
            raise Refusal(413, "body_too_large", most=self.most)
        self.content += memoryview(data)[start:end]

    def _end(self) -> None:
        self.ended = True


async def uploaded(request: Request, field: str = "image", most: int = ENVELOPE) -> bytes:
    """The bytes of the picture that a request brings: the form's one file under `field`, or a body of a media type
    image/*. most: bytes of the picture.

    Raises Refusal 400 for a broken form and an empty picture, 413 for a larger one, 415 for a body of another type.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind.startswith(b"image/"):
        content = bytearray()
        async for data in request.stream():
            if len(content) + len(data) > most:
                raise Refusal(413, "body_too_large", most=most)
            content += data
    elif kind == FORM.encode():
        reader = PartReader(options.get(b"boundary", b""), field, most)
        async for data in request.stream():
            reader.write(data)
        content = reader.finish()
    else:
        raise Refusal(415, "media_type")
    if not content:
        raise Refusal(400, "picture_empty")
    return bytes(content)
