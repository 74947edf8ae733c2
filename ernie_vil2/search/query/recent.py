"""A few results by what they were made of, the ones that were asked for last."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any


class Recent:
    """At most `most` values by key; threads may share it, and two that ask at once may both make a value."""

    def __init__(self, most: int):
        self.most = most
        self._known: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Values that are kept."""
        return len(self._known)

    def find(self, key: Hashable) -> Any:
        """The value of a key, None where it is not known."""
        with self._lock:
            if key not in self._known:
                return None
            self._known.move_to_end(key)
            return self._known[key]

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The value of a key, made where it is not known."""
        value = self.find(key)
        if value is None:
            value = make()
            self.put(key, value)
        return value

    def put(self, key: Hashable, value: Any) -> None:
        """Keep a value, and let the oldest go where there are too many."""
        with self._lock:
            self._known[key] = value
            self._known.move_to_end(key)
            while len(self._known) > self.most:
                self._known.popitem(last=False)
