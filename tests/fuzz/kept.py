"""Examples that were wrong once, in kept.json: each a target, what it is told, and the few bytes of its files.

`python -m tests.fuzz.kept FILE...` adds examples that a campaign has kept, the smallest first.
"""

import json
import sys
from pathlib import Path

from tests.fuzz.example import Example, from_dict, load

PLACE = Path(__file__).with_name("kept.json")
LARGEST = 6000
"""Bytes of an example that is worth a place in the repository"""


def kept() -> list[Example]:
    """All of them."""
    return [from_dict(content) for content in json.loads(PLACE.read_text(encoding="utf-8"))]


def add(examples: list[Example]) -> int:
    """Add those that are small and not there yet; how many these are."""
    found = kept()
    known = {example.fingerprint() for example in found}
    new = {one.fingerprint(): one for one in examples if len(one) <= LARGEST and one.fingerprint() not in known}
    lines = [json.dumps(example.as_dict()) for example in [*found, *new.values()]]
    PLACE.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
    return len(new)


if __name__ == "__main__":
    print(f"{add([load(Path(name)) for name in sys.argv[1:]])} examples were added to {PLACE}")
