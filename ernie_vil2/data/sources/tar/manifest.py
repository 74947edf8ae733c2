"""`index.json` of a folder of shards: what `tools/data.py shard` wrote into it, so that it can be checked later."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ....errors import DataError, advice
from ....files.atomic import atomic_file
from ....files.json_files import read_json

NAME = "index.json"
FORMAT = "ernie-vil2 shards 1"
SHARD_FIELDS = {"name": str, "samples": int, "captions": int, "bytes": int, "sha256": str, "rows": list}


def read_manifest(folder: str | os.PathLike) -> dict[str, Any] | None:
    """The mapping in `index.json` of a folder; None when there is none, or one that another program wrote.

    Raises DataError when the file is ours and cannot be used.
    """
    path = Path(folder, NAME)
    try:
        content = read_json(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "reason", error)
        raise DataError(
            f"{path}: cannot be read ({reason}); {advice(error, 'write the shards again, or delete it')}"
        ) from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        return None
    shards = content.get("shards")
    good = isinstance(shards, list) and all(
        isinstance(shard, dict) and all(isinstance(shard.get(name), kind) for name, kind in SHARD_FIELDS.items())
        for shard in shards
    )
    if not good:
        raise DataError(f"{path}: the list of shards is damaged; write the shards again, or delete it")
    return content


def write_manifest(folder: str | os.PathLike, content: Mapping[str, Any]) -> None:
    """Write `index.json`, as a whole or not at all, with the totals of its shards."""
    totals = {key: sum(shard[key] for shard in content["shards"]) for key in ("samples", "captions", "bytes")}
    with atomic_file(Path(folder, NAME)) as handle:
        handle.write(
            json.dumps({"format": FORMAT, **content, **totals}, ensure_ascii=False, indent=1).encode(
                "utf-8", "backslashreplace"
            )
        )
