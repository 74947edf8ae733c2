"""Why an uploaded picture is refused, by the cause that the library names, for who has chosen it."""

from typing import Any

from ...errors import DataError
from ..refusals import LANGUAGES, Refusal

SAVE = ("save it as JPEG or PNG", "请另存为 JPEG 或 PNG 格式")
AGAIN = ("fetch or export it again", "请重新获取或导出")
CAUSES = {
    "not an image": (
        f"this is no picture that is read here (JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF); {SAVE[0]}",
        f"此文件不是可读取的图片（JPEG、PNG、WebP、GIF、BMP、TIFF、AVIF）；{SAVE[1]}",
    ),
    "empty image": ("the file is empty; choose another picture", "文件是空的；请选择其他图片"),
    "too large": (
        "the picture is too large to be decoded: {megapixels} million pixels and {mebibytes} MiB are the most; make "
        "it smaller",
        "图片过大，无法解码：最多 {hundred_millions:g} 亿像素、{mebibytes} MiB；请缩小后重试",
    ),
    "truncated image": (f"the picture is cut short; {AGAIN[0]}", f"图片不完整，末尾缺失；{AGAIN[1]}"),
    "damaged image": (f"a part of the picture is damaged; {AGAIN[0]}", f"图片部分损坏；{AGAIN[1]}"),
    "unreadable file": ("the file cannot be read; choose another picture", "文件无法读取；请选择其他图片"),
    "broken image": (
        f"the picture is broken; {AGAIN[0]}, or {SAVE[0]}",
        f"图片已损坏；{AGAIN[1]}，或{SAVE[1]}",
    ),
}
"""{cause: (English, Chinese)}"""


class ImageRefusal(Refusal):
    """A picture that cannot be encoded. values: of the limits, and the cause."""

    def __init__(self, error: DataError, **values: Any):
        cause = getattr(error, "cause", "")
        super().__init__(422, "image", cause=cause if cause in CAUSES else "broken image", **values)

    def sentence(self, language: str = "en") -> str:
        """Why, in one sentence of a language."""
        return CAUSES[self.values["cause"]][LANGUAGES.index(language)].format(**self.values)
