"""Tensors of a file that do not fit a model: one sentence for people, and all of their names for programs."""

import os
from collections.abc import Mapping, Sequence

from ..errors import CheckpointError
from ..messages import brief

EXAMPLES = 3
"""Tensors of each kind that the sentence names"""
LONGEST_NAME = 90


class MisfitError(CheckpointError):
    """What is missing, unexpected, mis-shaped or not floating point.

    problems: {kind: [a name, and what is wrong with it]} of every such tensor, of which the sentence has a few.
    """

    def __init__(self, what: str | os.PathLike, problems: Mapping[str, Sequence[str]], count: int, fix: str) -> None:
        super().__init__(what, problems, count, fix)
        self.what, self.problems, self.count, self.fix = what, problems, count, fix

    def sentence(self) -> str:
        counts = ", ".join(f"{len(names)} {kind}" for kind, names in self.problems.items())
        some = "; ".join(f"{kind}: {examples(names)}" for kind, names in self.problems.items())
        return f"{self.what} ({counts} of {self.count:,} tensors; {some}); {self.fix}"


def examples(names: Sequence[str]) -> str:
    """The first of these names, and how many there are besides."""
    more = f" and {len(names) - EXAMPLES:,} more" if len(names) > EXAMPLES else ""
    return ", ".join(brief(name, LONGEST_NAME) for name in names[:EXAMPLES]) + more
