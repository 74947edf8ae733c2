"""The tokenizer's files of a folder of transformers, and whether the library makes our ids of texts that are hard."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...data.tokenizer import Tokenizer
from ...data.vocabulary_file import CLS, MASK, PAD, SEP, UNK
from ...messages import brief, quoted
from ..tokens_description import tokenizer_form

TOKENIZER, SETTINGS = "tokenizer.json", "tokenizer_config.json"
HARD_TEXTS = (
    "一只红色的猫在左边，一只小狗在右边。",
    "The red cat, and the dogs on the left: naïve Café, don't!",
    "一个cat和2022個blue dogs（繁體、㐀𠀀𪚥）",
    "龘靐齉爩 鱻麤 𰻞面",
    "😀👨‍👩‍👧‍👦❤️🇨🇳 ☃ ©®™ €$^`~|",
    "ＦＵＬＬ　ｗｉｄｔｈ１２３ ﬁx ß İstanbul ΟΔΟΣ Ἀθῆναι Ǆ",
    "e\u0301 a\u030a n\u0303 \u200b\ufeff\u00ad\u2028\tx\r\ny\x00\x07\ue000\U0001faff\u0378",
    "안녕하세요 こんにちは カタカナ ไทย हिन्दी العربية עברית",
    f"{CLS} {SEP} {PAD} {UNK} {MASK} [mask]",
    "a" * 150,
    "猫狗" * 400,
    "a very long caption of the red cat and the blue dog " * 60,
)
"""Both languages, rare and unassigned characters, emoji, marks, names of special tokens, and more than a model reads"""


def tokenizer_files(tokenizer: Tokenizer) -> dict[str, dict[str, Any]]:
    """{name: JSON} of what AutoTokenizer reads: the tokenizer as it is, and how long texts may be.

    A name such as [SEP] in a text is letters and signs here, hence `split_special_tokens`.
    """
    special = {"pad_token": PAD, "cls_token": CLS, "sep_token": SEP, "unk_token": UNK}
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": tokenizer.max_length,
        "model_input_names": ["input_ids", "attention_mask"],
        "padding_side": "right",
        "truncation_side": "right",
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,
        **special,
    }
    form = tokenizer_form(tokenizer)
    form["model"]["vocab"] |= fillers(tokenizer.vocab)
    return {TOKENIZER: form, SETTINGS: settings}


def fillers(vocab: Mapping[str, int]) -> dict[str, int]:
    """Tokens of ids that a vocabulary skips, as the released one does where a token stands twice: of a gap the library
    prints that the vocabulary could be corrupted. No text becomes one of them, since no word holds a space."""
    taken = set(vocab.values())
    return {f"[no token {number}]": number for number in range(max(taken)) if number not in taken}


def tokenizer_note(theirs: Callable[..., Any], ours: Tokenizer, captions: Sequence[str]) -> str:
    """A sentence on the ids of captions and of HARD_TEXTS by transformers' tokenizer, against ours."""
    texts = [*captions, *HARD_TEXTS]
    found = ([theirs(text, truncation=True)["input_ids"], ours.encode(text)[0].tolist()] for text in texts)
    other = [text for text, (first, second) in zip(texts, found, strict=True) if first != second]
    if not other:
        return f"AutoTokenizer gives the model's own ids of {len(texts)} texts with rare signs, emoji and long ones"
    shown = "; ".join(quoted(brief(text, 40)) for text in other[:3])
    return f"AutoTokenizer gives other ids than the model's own of {len(other)} of {len(texts)} texts: {shown}"
