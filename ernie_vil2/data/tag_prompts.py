"""Object tags as a sentence that the text tower reads."""

from collections.abc import Sequence

from ..errors import DataError
from .tokenizer import checked_texts, is_blank

PROMPTS = {"zh": ("该图片包含", "、"), "en": ("The picture contains ", ", ")}
"""language -> (beginning, separator)"""


def tag_prompt(tags: str | Sequence[str], language: str) -> str:
    """One text of object tags: "zh" 该图片包含猫、沙发, "en" The picture contains cat, sofa; without any tag "".

    Blank tags are left out. The English words are the paper's, the Chinese separator is ours. Raises DataError.
    """
    if language not in PROMPTS:
        raise DataError(f"tag prompts exist in {' and '.join(PROMPTS)}, not in {language!r}; choose one of them")
    head, separator = PROMPTS[language]
    kept = [tag.strip() for tag in checked_texts(tags, "tags") if not is_blank(tag)]
    return head + separator.join(kept) if kept else ""
