"""Faults that are known and not mended: they are counted and told of, but do not make a campaign fail. An entry goes
when its fault does; its example in kept.json then holds."""

import re
from dataclasses import dataclass

from tests.fuzz.judge import Verdict


@dataclass(frozen=True)
class Known:
    """A fault of a kind of cases; `place` is searched in what it is grouped by: its kind and its frame."""

    cases: str
    fault: str
    place: str
    why: str


NUMPY = "NumPy's own errors of a header that is no literal"
KNOWN: tuple[Known, ...] = (
    Known("images", "noise", r"^PIL\.TiffImagePlugin of another's log", "Pillow logs an error that it raises as well"),
    Known("images", "traceback", r"^ZeroDivisionError .* tiff_burden", "a TIFF whose BitsPerSample has no values"),
    Known("commands", "control characters", "^argparse", "argparse repeats words as they are"),
    Known("commands", "no sentence", "^argparse", "argparse repeats words as they are"),
    Known("commands", "overlong", "^argparse|^our own line", "words are repeated in full"),
    Known("commands", "traceback", "^RecursionError .* parse_json", "deep JSON of detections"),
    Known("runs", "traceback", "^IsADirectoryError .* atomic_file", "checkpoints.json is a folder"),
    Known("evaluations", "traceback", "^TokenError .* read_(directory|text_keys)", NUMPY),
    Known("evaluations", "traceback", "^RecursionError .* parse_json", "deep JSON of detections"),
    Known(
        "evaluations",
        "traceback",
        "^OverflowError .* (corners|name|read_entry|shown)$",
        "a number that no float can hold",
    ),
    Known("evaluations", "traceback", "^(KeyError|TypeError) .* read_entry", "labels or boxes of another type"),
    Known("evaluations", "traceback", "MemoryError .* read_(directory|text_keys)", "a header that claims terabytes"),
    Known("evaluations", "noise", "(Runtime|User)Warning", "embeddings that are not finite"),
)


def known(cases: str, verdict: Verdict, among: tuple[Known, ...] = KNOWN) -> Known | None:
    """The entry that a wrong verdict is of, or None."""
    told = f"{verdict.kind} {verdict.frame}"
    return next(
        (
            one
            for one in among
            if one.fault == verdict.fault and cases in (one.cases, "kept") and re.search(one.place, told)
        ),
        None,
    )
