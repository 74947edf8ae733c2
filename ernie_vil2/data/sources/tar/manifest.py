"""`index.json` of a folder of shards: what `ernie-vil2 data shard` wrote into it, so that it can be checked later."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ....errors import DataError, advice
from ....files.atomic import atomic_file
from ....files.json_files import read_json, with_checksum, without_checksum

NAME = "index.json"
FORMAT = "ernie-vil2 shards 1"
COUNTS = ("samples", "captions", "bytes", "bad", "bad_bytes", "rows", "per_shard", "size_limit")
MOST = 2**53
MOST_BYTES = 64 << 20
"""Of index.json: a shard takes 200 to 300"""
SAMPLE_BYTES = 3 * 512
"""Of a sample in a tar, at least: a header of an image, some of it, and a header of its captions"""


def read_manifest(folder: str | os.PathLike) -> dict[str, Any] | None:
    """The mapping in `index.json` of a folder; None when there is none, or one that another program wrote.

    Raises DataError when the file is ours and cannot be used.
    """
    path = Path(folder, NAME)
    try:
        content = read_json(path, most=MOST_BYTES)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            return None
        content = without_checksum(content)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "reason", error)
        raise DataError(
            f"{path}: cannot be read ({reason}); {advice(error, 'write the shards again, or delete it')}"
        ) from None
    shards = content.get("shards")
    good = isinstance(shards, list) and all(map(is_shard, shards))
    if not good or not all(is_count(content.get(name, 0)) for name in COUNTS):
        raise DataError(f"{path}: the list of shards is damaged; write the shards again, or delete it")
    return content


def is_count(value: Any) -> bool:
    """Whether a value of JSON is a number of things, or of bytes."""
    return type(value) is int and 0 <= value < MOST


def is_shard(shard: Any) -> bool:
    """Whether a value of JSON is a tar of this folder, of as many samples as have place in it."""
    if not isinstance(shard, dict):
        return False
    name, rows = shard.get("name"), shard.get("rows")
    return (
        isinstance(name, str)
        and name not in ("", ".", "..")
        and not set(name) & {"/", "\0"}
        and isinstance(shard.get("sha256"), str)
        and all(is_count(shard.get(key)) for key in ("samples", "captions", "bytes"))
        and shard["samples"] * SAMPLE_BYTES <= shard["bytes"]
        and isinstance(rows, list)
        and len(rows) == 2
        and all(map(is_count, rows))
        and rows[0] <= rows[1]
    )


def write_manifest(folder: str | os.PathLike, content: Mapping[str, Any]) -> None:
    """Write `index.json`, as a whole or not at all, with the totals of its shards."""
    totals = {key: sum(shard[key] for shard in content["shards"]) for key in ("samples", "captions", "bytes")}
    written = with_checksum({"format": FORMAT, **content, **totals})
    with atomic_file(Path(folder, NAME)) as handle:
        handle.write(json.dumps(written, ensure_ascii=False, indent=1).encode("utf-8", "backslashreplace"))
