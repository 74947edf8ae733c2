"""A server that is asked without a pause until it is told to end, which it does by itself when it has answered enough:

python tests/kills/loaded_server.py PORT PICTURES VERB [arguments]

VERB is `serve`, which ends after some hundred answers, or `up`, which ends when the index has so many pictures and
nobody writes it any more. Status 3 for an answer that is none.
"""

import json
import os
import signal
import sys
import threading
import time
import urllib.error
import urllib.request

from ernie_vil2.cli.main import dispatch
from ernie_vil2.errors import run_tool

ENOUGH = 240
"""Answers of `serve`"""
ASKING = 2
"""Threads that ask"""
LONGEST = 100.0
"""Seconds in which it must have come to its end"""
RIGHT = {200, 429, 503}
"""An answer, and what is to be asked again"""
SENTENCE = "一只红色的猫"


class Load:
    """What asks a server. answered: how many answers came; wrong: the first that was none."""

    def __init__(self, port: int, pictures: int, verb: str) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self.pictures, self.verb = pictures, verb
        self.answered, self.wrong = 0, ""

    def ask(self, path: str, body: dict | None = None) -> bytes:
        """What comes of a request; empty where there is no server, or it wants to be asked again."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                found, status = answer.read(), answer.status
        except urllib.error.HTTPError as error:
            found, status = b"", error.code
        except OSError:  # it has not begun, or ends
            return b""
        self.answered += status == 200
        if status not in RIGHT:
            self.wrong = self.wrong or f"{path} is answered with {status}"
        return found

    def go_round(self) -> None:
        """Look at the newest pictures, ask for what is like one, and for a sentence, again and again."""
        index = "/api/indexes/out"
        while True:
            hits = json.loads(self.ask(f"{index}/search", {"parts": [], "k": 200}) or b'{"hits": []}')["hits"]
            for hit in hits:
                self.ask(hit["thumbnail"])
                self.ask(f"{index}/search", {"parts": [{"id": hit["id"]}], "k": 5})
            self.ask(f"{index}/search", {"parts": [{"text": SENTENCE}], "k": 5})
            time.sleep(0.01)

    def is_enough(self) -> bool:
        """Whether it may end."""
        if self.verb == "serve":
            return self.answered >= ENOUGH
        records = json.loads(self.ask("/api/indexes") or b'{"indexes": []}')["indexes"]
        return any(record["pictures"] == self.pictures and not record["updating"] for record in records)

    def watch(self) -> None:
        """Have the process end when it is enough, or something is wrong."""
        last = time.monotonic() + LONGEST
        while not self.is_enough() and not self.wrong:
            if time.monotonic() > last:
                self.wrong = f"only {self.answered} answers came"
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)


def main(argv: list[str] | None) -> int | None:
    """Serve under load."""
    port, pictures, *rest = argv
    load = Load(int(port), int(pictures), rest[0])
    for work in (*[load.go_round] * ASKING, load.watch):
        threading.Thread(target=work, daemon=True).start()
    sys.argv[1:] = rest
    status = dispatch([*rest, "--port", port])
    if load.wrong:
        print(f"error: {load.wrong}", file=sys.stderr)
        return 3
    return status


if __name__ == "__main__":
    run_tool(main, sys.argv[1:])
