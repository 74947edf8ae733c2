"""Items that cannot be used: each one ends the work, or is left out and told of, as the user decides."""

from ..errors import UserError


class LeftOut:
    """What was left out so far. allowed: whether anything may be. reasons: a sentence an item, in order."""

    def __init__(self, allowed: bool = False) -> None:
        self.allowed = allowed
        self.reasons: list[str] = []

    def add(self, error: UserError) -> None:
        """Keep the sentence of an error that names an item, or raise it where nothing may be left out."""
        if not self.allowed:
            raise error
        self.reasons.append(str(error))

    def notes(self, what: str) -> tuple[str, ...]:
        """A sentence on how many `what` were left out, with the first of them; none where all are there."""
        return (f"{what} left out: {len(self.reasons)}, the first: {self.reasons[0]}",) if self.reasons else ()
