"""Items that cannot be used: each one ends the work, or is left out and told of, as the user decides."""

from collections import Counter

from ..errors import UserError


class LeftOut:
    """What was left out so far. allowed: whether anything may be. reasons: a sentence an item, in order.

    causes: how many items of each cause.
    """

    def __init__(self, allowed: bool = False) -> None:
        self.allowed = allowed
        self.reasons: list[str] = []
        self.causes: Counter[str] = Counter()

    def add(self, error: UserError) -> None:
        """Keep the sentence of an error that names an item, or raise it where nothing may be left out."""
        if not self.allowed:
            raise error
        self.reasons.append(str(error))
        self.causes.update([error.cause] if hasattr(error, "cause") else [])

    def notes(self, what: str) -> tuple[str, ...]:
        """A sentence on how many `what` were left out, with the first and all causes; none where all are there."""
        causes = ", ".join(f"{count} {cause}" for cause, count in self.causes.most_common())
        by_cause = f" (by cause: {causes})" if causes else ""
        return (
            (f"{what} left out: {len(self.reasons)}, the first: {self.reasons[0]}{by_cause}",) if self.reasons else ()
        )
