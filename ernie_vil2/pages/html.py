"""Pieces of HTML pages."""

from html import escape
from pathlib import Path

TEMPLATES = Path(__file__).with_name("templates")
"""Folder of the pages' templates"""


def spoken(text):
    """Escaped text, marked as Chinese where it has Chinese characters so that the browser takes the right glyphs."""
    text = str(text)
    chinese = any("\u2e80" <= character <= "\u9fff" or "\U00020000" <= character <= "\U0003ffff" for character in text)
    return f'<span lang="zh">{escape(text)}</span>' if chinese else escape(text)
