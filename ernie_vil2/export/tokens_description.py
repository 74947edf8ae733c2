"""A tokenizer as the `tokenizers` library reads it: its JSON, with which a reader has our ids and nothing of ours.

What our rules do to each character is asked of the tables of `data/tokenizer.py`, one code point after the other, and
written down as classes of code points: whoever reads them needs no Unicode tables of the same version. The library's
own lower-casing and decomposition are the same but for what `odd_ones` finds, and for a sigma at the end of a word.
"""

import functools
import sys
import unicodedata
from collections.abc import Iterable
from typing import Any

from ..data.tokenizer import APART, CLEAN, LONGEST_WORD, Tokenizer
from ..data.vocabulary_file import CLS, PAD, SEP, UNK

SURROGATES = range(0xD800, 0xE000)
SIGMA, FINAL_SIGMA = "\u03a3", "\u03c2"
SPACE = ord(" ")
LACKING = (
    "A lone surrogate (U+D800 to U+DFFF) is dropped by this project; the library takes no string that holds one.",
    "A text with nothing to read (white space, controls, marks without a letter) is refused by this project; here it "
    f"becomes {CLS} {SEP}.",
)
"""Rules that the form does not have"""


def tokens_description(tokenizer: Tokenizer) -> dict[str, Any]:
    """What export.json says of tokens: `tokenizer`, for `tokenizers.Tokenizer.from_str(json.dumps(...))`, whose
    `encode_batch` pads; and the same in words and numbers."""
    letters = "lower-cased, without accents" if tokenizer.lower_case else "as they are"
    whole = f"always up to {tokenizer.max_length}" if tokenizer.fixed_length else "up to the longest of a batch"
    return {
        "in_words": [
            f"BERT's basic tokenisation, rules {tokenizer.rules}, letters {letters}, by the categories of Unicode "
            f"{unicodedata.unidata_version}; then WordPiece, where a word of over {LONGEST_WORD} characters is {UNK}.",
            f"{CLS}, the first {tokenizer.max_length - 2} pieces, {SEP}; then {PAD} ({tokenizer.pad_id}), {whole}.",
            *LACKING,
        ],
        "max_length": tokenizer.max_length,
        "fixed_length": tokenizer.fixed_length,
        "pad_id": tokenizer.pad_id,
        "dtype": "int64",
        "tokenizer": tokenizer_form(tokenizer),
    }


def tokenizer_form(tokenizer: Tokenizer) -> dict[str, Any]:
    """The JSON of the `tokenizers` library, as plain data."""
    rules = character_rules(tokenizer.rules, tokenizer.lower_case)
    return {
        "version": "1.0",
        "truncation": {
            "direction": "Right",
            "max_length": tokenizer.max_length,
            "strategy": "LongestFirst",
            "stride": 0,
        },
        "padding": {
            "strategy": {"Fixed": tokenizer.max_length} if tokenizer.fixed_length else "BatchLongest",
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": tokenizer.pad_id,
            "pad_type_id": 0,
            "pad_token": PAD,
        },
        "added_tokens": [],  # a name such as [SEP] in a text is letters and signs
        "normalizer": {"type": "Sequence", "normalizers": list(rules[0])},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": list(rules[1])},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [special(CLS), {"Sequence": {"id": "A", "type_id": 0}}, special(SEP)],
            "pair": [special(CLS), *({"Sequence": {"id": name, "type_id": 0}} for name in "AB"), special(SEP)],
            "special_tokens": {
                token: {"id": token, "ids": [tokenizer.vocab[token]], "tokens": [token]} for token in (CLS, SEP)
            },
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": False},
        "model": {
            "type": "WordPiece",
            "unk_token": UNK,
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": LONGEST_WORD,
            "vocab": dict(tokenizer.vocab),
        },
    }


def special(token: str) -> dict[str, Any]:
    return {"SpecialToken": {"id": token, "type_id": 0}}


@functools.lru_cache(maxsize=4)
def character_rules(rules: str, lower_case: bool) -> tuple[tuple[dict[str, Any], ...], tuple[dict[str, Any], ...]]:
    """(normalizers, pre-tokenizers) of the rules `bert` or `paddlenlp`: what is dropped and what is white space; the
    change of letters; what is a word by itself."""
    apart = APART[rules][lower_case].rule
    clean = {code: CLEAN.rule(code) for code in range(sys.maxunicode + 1) if code not in SURROGATES}
    dropped = [code for code, found in clean.items() if found is None]
    seen = [code for code, found in clean.items() if found is not None]
    blank = [code for code in seen if chr(code).isspace()]
    later = {code: apart(code) for code in seen}
    alone = [code for code, found in later.items() if f" {chr(code)} " in (found, clean[code])]
    normalizers = [replace({"Regex": any_of(dropped)}, ""), replace({"Regex": any_of(blank)}, " ")]
    if lower_case:
        letters = [code for code in seen if not chr(code).isspace()]
        normalizers += [
            replace({"Regex": final_sigma(letters)}, FINAL_SIGMA),
            *(replace({"String": character}, wanted) for character, wanted in odd_ones(letters).items()),
            {"type": "Lowercase"},
            {"type": "NFD"},
            replace({"Regex": any_of(code for code, found in later.items() if found is None)}, ""),
        ]
    return tuple(normalizers), (
        split({"String": chr(SPACE)}, "Removed"),
        split({"Regex": any_of(alone)}, "Isolated"),
    )


def odd_ones(codes: Iterable[int]) -> dict[str, str]:
    """{character: what Python makes of it} where the library's lower-casing and decomposition differ, whose Unicode
    tables are older."""
    from tokenizers.normalizers import NFD, Lowercase, Sequence

    characters = [chr(code) for code in codes]
    theirs = Sequence([Lowercase(), NFD()]).normalize_str("\n".join(characters)).split("\n")
    ours = (unicodedata.normalize("NFD", character.lower()) for character in characters)
    return {
        character: wanted for character, wanted, found in zip(characters, ours, theirs, strict=True) if wanted != found
    }


def final_sigma(codes: Iterable[int]) -> str:
    """A pattern of the sigmas that end a word: `str.lower` makes another letter of those than the library does.

    Which characters are letters with a case, and which are passed over on the way to one, is asked of `str.lower`.
    """

    def ends(text: str) -> bool:
        return (text + SIGMA).lower().endswith(FINAL_SIGMA)

    kept = list(codes)
    cased = [code for code in kept if ends(chr(code))]
    taken = set(cased)
    passed = any_of(code for code in kept if code not in taken and ends(f"a{chr(code)}"))
    letter = any_of(cased)
    return f"{letter}{passed}*\\K{SIGMA}(?!{passed}*{letter})"


def any_of(codes: Iterable[int]) -> str:
    """A regular expression of one character of ascending code points."""
    spans: list[list[int]] = []
    for code in codes:
        if spans and spans[-1][1] == code - 1:
            spans[-1][1] = code
        else:
            spans.append([code, code])
    return "[" + "".join(f"\\x{{{first:x}}}-\\x{{{last:x}}}" for first, last in spans) + "]"


def replace(pattern: dict[str, str], content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": content}


def split(pattern: dict[str, str], behavior: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": False}
