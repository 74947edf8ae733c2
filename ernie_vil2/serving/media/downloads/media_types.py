"""What a browser is told that a file is: known kinds of pictures and videos, by their first bytes, and nothing else."""

from ....data.images.formats.kinds import SUFFIX_OF
from ....data.images.formats.kinds import kind_of as picture_kind
from ....data.videos.kinds import kind_of as video_kind

PICTURES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "WEBP": "image/webp",
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
    "JPEG2000": "image/jp2",
}
VIDEOS = {
    "mov": "video/mp4",
    "matroska": "video/webm",
    "avi": "video/x-msvideo",
    "flv": "video/x-flv",
    "asf": "video/x-ms-asf",
    "ogg": "video/ogg",
    "mpegts": "video/mp2t",
}
UNKNOWN = "application/octet-stream"


def media_type_of(head: bytes) -> str:
    """The media type of a file that begins so; UNKNOWN for what a browser must not show."""
    return PICTURES.get(picture_kind(head) or "") or VIDEOS.get(video_kind(head) or "") or UNKNOWN


def suffix_of(head: bytes) -> str:
    """The suffix for a picture that has no name of a file."""
    return SUFFIX_OF.get(picture_kind(head) or "", "")
