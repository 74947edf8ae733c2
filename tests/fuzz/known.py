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


KNOWN: tuple[Known, ...] = ()


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
