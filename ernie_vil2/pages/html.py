"""Pieces of HTML pages."""

from html import escape
from pathlib import Path
from string import Template

TEMPLATES = Path(__file__).with_name("templates")
"""Folder of the pages' templates"""


def template(name: str) -> Template:
    """The template of a page by the name of its file."""
    return Template((TEMPLATES / name).read_text(encoding="utf-8"))


def shared_style() -> str:
    """The style sheet of the demo's page, so that all pages of the project look alike."""
    return template("demo.html").template.partition("<style>")[2].partition("</style>")[0].strip()


def spoken(text: object) -> str:
    """Escaped text, marked as Chinese where it has Chinese characters so that the browser takes the right glyphs."""
    text = str(text)
    chinese = any("\u2e80" <= character <= "\u9fff" or "\U00020000" <= character <= "\U0003ffff" for character in text)
    return f'<span lang="zh">{escape(text)}</span>' if chinese else escape(text)


def section(title: str, *parts: str) -> str:
    """A section of a page under its title; empty parts are left out."""
    return "\n".join(["<section>", f"<h2>{spoken(title)}</h2>", *filter(None, parts), "</section>"])


def note(text: str) -> str:
    """A paragraph in small print."""
    return f'<p class="note">{escape(text)}</p>'
