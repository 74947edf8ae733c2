"""What a manifest does not name: left by killed writers, or replaced, and cleared by whoever writes next."""

import os
import re
import shutil
from pathlib import Path

from ...files.atomic import sync_directory
from .manifest import Manifest
from .snapshot import NEIGHBOURS, SEGMENTS

REMOVED = re.compile(r"removed-\d+\.npy")


def clear_unnamed(folder: Path, manifest: Manifest) -> None:
    """Delete segments, neighbours and removed ids of an index that its manifest does not name. Readers that have them
    open go on with them."""
    named = {
        SEGMENTS: {segment.name for segment in manifest.segments},
        NEIGHBOURS: {record.get("place") for record in manifest.neighbours.values()},
    }
    for kind, names in named.items():
        if (folder / kind).is_dir():
            for entry in os.listdir(folder / kind):
                if entry not in names and entry.isdecimal():
                    shutil.rmtree(folder / kind / entry)
    kept = manifest.removed.file if manifest.removed else None
    for entry in os.listdir(folder):
        if entry != kept and REMOVED.fullmatch(entry):
            os.unlink(folder / entry)


def sync_tree(folder: Path) -> None:
    """See all files below a folder on the disk."""
    for place, _, names in os.walk(folder):
        for name in names:
            descriptor = os.open(os.path.join(place, name), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_directory(place)
