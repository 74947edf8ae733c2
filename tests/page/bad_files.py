"""Files that are no pictures, or pictures that would fill the memory: what a person might drop by mistake or malice."""

import io
import struct
import zlib

from PIL import Image

PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
SVG = b"<svg xmlns='http://www.w3.org/2000/svg' width='10' height='10'><script>document.title='run'</script></svg>"


def wide_jpeg(width=20_000, height=15_000):
    """A JPEG of a few bytes whose header says 300 megapixels."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "JPEG")
    data = bytearray(buffer.getvalue())
    start = data.index(b"\xff\xc0") + 5
    data[start : start + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def png_bomb(side=50_000):
    """A PNG of a few hundred kilobytes that declares, and partly has, gigabytes of black."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(side * 3 + 1)) for _ in range(200)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


BAD_FILES = {"paper.pdf": PDF, "drawing.svg": SVG, "bomb.png": png_bomb(), "wide.jpg": wide_jpeg()}
"""{name: bytes}"""
