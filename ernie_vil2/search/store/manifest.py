"""manifest.json of an index: the one file that says what is in it. Whatever it does not name does not exist."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import ConfigError, DataError
from ...files.json_files import SETTINGS_BYTES, read_json, with_checksum, without_checksum, write_json
from ...files.run_folder import is_list_of_files
from ...files.text import ContentError
from ...messages import quoted
from ...schema import as_dict, build, document

MANIFEST = "manifest.json"
FORMAT = 1
SIDES = ("image", "text")
PARTS = ("images", "texts", "changed")
"""What a segment may hold: new pictures, new texts, and new metadata of pictures that older segments hold"""
ROOT = ("spec", "folder", "kind")
"""What is known of a place that rows come from: as it was given, its absolute folder or "", and its kind"""
KIND = "index of pictures"
"""What tells this manifest from those of other programs"""
WIDEST = 1 << 16


@dataclass(frozen=True)
class Segment:
    """A folder of rows that never changes. rows: {part: number}; files: {name: {bytes, sha256}}."""

    name: str
    rows: dict[str, int]
    files: dict[str, dict[str, Any]]

    def total(self) -> int:
        """Rows of all its parts."""
        return sum(self.rows.values())


@dataclass(frozen=True)
class Removed:
    """The file of ids of pictures that are gone, sorted: its name, how many there are, and its checksum."""

    file: str
    count: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What an index consists of, and what its vectors were made with.

    width: values of a vector. model: what tells and shows the model, `digest` first of all. engines: {side: record of
    `Model.engines`}. pixels: the pixel profile. roots: {number: {spec, folder, kind}}, places that rows come from.
    next_ids: {side: the id that the next row gets}. next_number: of the next segment, file of removed ids, or folder
    of neighbours. neighbours: {side: record, with the folder under `place`}. thresholds: {name: record}. sequence: how
    often this was replaced.
    """

    width: int = document(0, "", minimum=1, maximum=WIDEST)
    model: dict[str, Any] = field(default_factory=dict)
    engines: dict[str, Any] = field(default_factory=dict)
    pixels: dict[str, Any] = field(default_factory=dict)
    roots: dict[int, dict[str, Any]] = field(default_factory=dict)
    segments: list[Segment] = field(default_factory=list)
    removed: Removed | None = None
    next_ids: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SIDES, 0))
    next_number: int = document(1, "", minimum=1)
    neighbours: dict[str, dict[str, Any]] = field(default_factory=dict)
    thresholds: dict[str, dict[str, Any]] = field(default_factory=dict)
    sequence: int = document(0, "", minimum=0)

    def rows(self, part: str) -> int:
        """Rows of a part in all segments, those that are gone or replaced included."""
        return sum(segment.rows.get(part, 0) for segment in self.segments)

    def replaced(self, **fields: Any) -> "Manifest":
        """A copy with other values of some fields."""
        return dataclasses.replace(self, **fields)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Put a manifest in the place of the one before, durably; CheckpointError where the system refuses."""
    content = as_dict(manifest)
    content["roots"] = {str(number): root for number, root in manifest.roots.items()}
    write_json(folder / MANIFEST, with_checksum({"kind": KIND, "format": FORMAT, **content}))


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an index; DataError says why a folder has none that can be used."""
    path = folder / MANIFEST
    try:
        content = read_json(path, most=SETTINGS_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        missing = "has no manifest.json" if folder.is_dir() else "is no folder"
        raise DataError(
            f"{folder} {missing}, so it is no index; correct the path, or make one with index build"
        ) from None
    except ContentError as error:
        raise damaged(path, error.reason) from None
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise DataError(f"{path} is not the manifest of an index but of something else; name the folder of an index")
    number = content.get("format")
    if type(number) is int and number > FORMAT:
        raise DataError(
            f"{folder} has format {quoted(number, 20)}, which a newer version wrote, and this one reads {FORMAT}; "
            "update this package, or build the index anew"
        )
    if number != FORMAT:
        raise damaged(path, f"its format is {quoted(number, 20)}")
    try:
        return checked(without_checksum(content), path)
    except (ValueError, ConfigError, TypeError) as error:
        raise damaged(path, str(error).removeprefix(f"{path}: ")) from None


def checked(content: Mapping[str, Any], path: Path) -> Manifest:
    """The manifest of a JSON object; ValueError or ConfigError where that cannot be one."""
    content = {name: value for name, value in content.items() if name not in ("kind", "format")}
    roots = content.get("roots", {})
    content["roots"] = {int(number): root for number, root in roots.items()} if isinstance(roots, dict) else roots
    manifest = build(Manifest, content, path)
    for segment in manifest.segments:
        if not (
            segment.name.isdecimal() and is_list_of_files(segment.files) and set(segment.rows) <= set(PARTS)
        ) or any(count < 0 for count in segment.rows.values()):
            raise ValueError(f"the segment {quoted(segment.name, 40)} is not described")
    if set(manifest.next_ids) != set(SIDES) or min(manifest.next_ids.values()) < 0 or not manifest.width:
        raise ValueError("the width, or the next ids, are missing")
    if manifest.removed and Path(manifest.removed.file).name != manifest.removed.file:
        raise ValueError(f"removed ids are in {quoted(manifest.removed.file, 60)}")
    for side, record in manifest.neighbours.items():
        place = record.get("place", "") if isinstance(record, dict) else None
        placed = isinstance(place, str) and (place == "" or place.isdecimal())
        if side not in SIDES or not placed or type(record.get("bound", 0)) is not int:
            raise ValueError(f"the neighbours of {quoted(side, 40)} are not described")
    for number, root in manifest.roots.items():
        if not isinstance(root, dict) or not all(isinstance(root.get(name), str) for name in ROOT):
            raise ValueError(f"the root {number} is not described")
    return manifest


def damaged(path: Path, reason: str) -> DataError:
    """The error of a manifest that does not say what one can."""
    return DataError(f"{path} is damaged ({reason}); copy the index again, or build it anew")
