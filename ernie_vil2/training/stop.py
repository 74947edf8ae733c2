"""A polite end: SIGTERM is remembered, the loop saves after the step at hand, and the process ends with status 0."""

import signal
import threading


class StopRequest:
    """While it is entered, SIGTERM sets `asked` instead of ending the process. Further ones change nothing: Paddle's
    launcher sends three within a second."""

    def __init__(self) -> None:
        self.asked = False
        self._before = None

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._note)
            signal.siginterrupt(signal.SIGTERM, False)  # Paddle's TCP store takes an interrupted read for an error
        return self

    def _note(self, number, frame):
        self.asked = True

    def __exit__(self, *error):
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)
