"""How many connections there may be, of one address and of all, and how slow they may be."""

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class ConnectionLimits:
    """open: connections of all clients; of_one: those of one address. head: seconds until a request's headers must be
    there. rate: bytes a second that a body comes with and an answer is read with, at least; patience: seconds by which
    either may be behind that. linger: seconds in which a client may read why it was refused while it still sends.
    """

    open: int = 512
    of_one: int = 128
    head: float = 10.0
    rate: float = 1024.0
    patience: float = 20.0
    linger: float = 3.0

    @property
    def period(self) -> float:
        """Seconds between two looks at a connection."""
        return min(1.0, self.head / 4, self.patience / 4)


class Connections:
    """The connections that are open, by address."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._count: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._count.total()

    def enter(self, address: str) -> bool:
        """Count one more; False when it is one too many."""
        self._count[address] += 1
        return self._count[address] <= self.limits.of_one and len(self) <= self.limits.open

    def leave(self, address: str) -> None:
        """Count one less."""
        self._count[address] -= 1
        if not self._count[address]:
            del self._count[address]


class Debt:
    """How far a stream of bytes is behind the rate that it must have, in seconds."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits, self.seconds = limits, 0.0

    def hopeless(self, moved: int) -> bool:
        """Whether it is too far behind, after a period in which so many bytes moved."""
        self.seconds = max(0.0, self.seconds + self.limits.period - moved / self.limits.rate)
        return self.seconds > self.limits.patience

    def clear(self) -> None:
        """Nothing is waited for."""
        self.seconds = 0.0
