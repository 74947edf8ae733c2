"""What a SOURCE of an index is: a folder of pictures and videos as they lie there, a source with captions, or
embeddings made elsewhere; and how an index remembers it."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...data.images.formats.kinds import is_picture_name
from ...data.sources.base import Source
from ...data.sources.folder import TABLES
from ...data.sources.open import kind_of_folder, open_source
from ...data.sources.videos.source import wanted_frames
from ...errors import ConfigError, DataError
from ...files.paths.names import name_text
from ...files.paths.patterns import is_braces
from ...files.yaml_files import parse_value
from ...messages import quoted
from ..store.manifest import Manifest

FILES, SOURCE, WORDLESS, EMBEDDINGS = "files", "source", "source without texts", "embeddings"
"""Kinds of roots in a manifest"""
WALKED = ("pictures", "videos")
OPTIONS = {"kind", "path", "frames", "allow_outside"}
"""Of a folder that is walked"""


@dataclass(frozen=True)
class Place:
    """A SOURCE as an index keeps it. kind: one of the above; folder: absolute, "" where rows have no files, or the
    whole path. frames, follow: of a folder, which frames of a video, and whether links are followed."""

    kind: str
    spec: str
    folder: str
    frames: str = ""
    follow: bool = False

    @property
    def name(self) -> str:
        """What messages call it."""
        return name_text(self.folder if self.kind == FILES else self.spec)

    def source(self) -> Source:
        """The source, opened."""
        return open_source(self.spec)


def place_of(spec: str, frames: str = "", texts: bool = True) -> Place:
    """The Place that an argument names. frames: of videos in a folder, unless the argument says it itself; texts:
    whether captions and tags of a source get vectors. Raises ConfigError for what cannot be, DataError for what is not
    there."""
    written = mapping_of(spec)
    options = {**({"frames": frames} if frames else {}), **written}
    path = options.get("path", "" if written else os.path.expanduser(spec))
    if not written and is_picture_name(path) and os.path.isfile(path):
        raise DataError(f"{name_text(path)} is one picture; give the folder that holds it")
    if not isinstance(path, (str, os.PathLike)) or not set(options) <= OPTIONS or not os.path.isdir(path):
        return captioned(spec, written, frames, texts)
    if options.get("kind") not in WALKED:
        kind = kind_of_folder(Path(path), {})
        without_table = kind == "folder" and not set(os.listdir(path)) & set(TABLES)
        if "kind" in options or not (kind in WALKED or without_table):
            return captioned(spec, written, frames, texts)
    follow, chosen = options.get("allow_outside", False), str(options.get("frames", ""))
    if not isinstance(follow, bool):
        raise ConfigError(f"allow_outside of {name_text(path)} is {quoted(follow)}; make it true or false")
    if chosen:
        wanted_frames(chosen)
    folder = os.path.realpath(path)
    kept = {"kind": "pictures", "path": folder, "frames": chosen, "allow_outside": follow}
    spec = json.dumps({key: value for key, value in kept.items() if value}, ensure_ascii=True)
    return Place(FILES, spec, folder, chosen, follow)


def captioned(spec: str, written: Mapping[str, Any], frames: str, texts: bool) -> Place:
    """The Place of a source whose rows are read one by one; its paths are made absolute, for later runs from other
    folders."""
    source = open_source({**written, "frames": frames} if written and frames else spec)
    if "image" not in source.sides:
        raise DataError(
            f"{source.name} has captions and no pictures, and an index is of pictures; give a source of them"
        )
    if written and isinstance(written.get("path"), str):
        path = os.path.abspath(os.path.expanduser(written["path"]))
        spec = json.dumps({**written, "path": path}, ensure_ascii=True)
    elif not written and not spec.startswith("scenes"):
        spec = "::".join(os.path.abspath(os.path.expanduser(part)) for part in spec.split("::"))
    return Place(SOURCE if texts else WORDLESS, spec, "")


def mapping_of(spec: str) -> dict[str, Any]:
    """The mapping that an argument writes, or {}."""
    if not (spec.startswith("{") and spec.endswith("}")) or is_braces(spec):
        return {}
    found = parse_value(spec, spec, " is not a YAML mapping; write for example '{kind: lmdb, path: train}'")
    return found if isinstance(found, dict) else {}


def place_of_root(root: Mapping[str, Any]) -> Place:
    """The Place of a root of a manifest."""
    kind, spec, folder = (root.get(name, "") for name in ("kind", "spec", "folder"))
    if kind != FILES:
        return Place(kind, spec, folder)
    options = mapping_of(spec)
    return Place(FILES, spec, folder, str(options.get("frames", "")), bool(options.get("allow_outside", False)))


def root_named(manifest: Manifest, name: str) -> int:
    """The number of the root that a person names: as it was given, or by its folder; DataError for none."""
    wanted = {name, os.path.abspath(os.path.expanduser(name)), os.path.realpath(os.path.expanduser(name))}
    for number, root in manifest.roots.items():
        if {root.get("spec"), root.get("folder") or None, str(number)} & wanted:
            return number
    known = ", ".join(place_of_root(root).name for root in manifest.roots.values()) or "none"
    raise DataError(f"the index has no source {quoted(name)}; its sources are {known}")


def with_moved(manifest: Manifest, name: str, path: str) -> Manifest:
    """A manifest in which a folder of pictures lies at another path, so that its rows stay as they are; the same one
    where it does already. DataError for another source, and for a path that is no folder or is in the index."""
    folder = os.path.realpath(os.path.expanduser(path))
    here = [number for number, root in manifest.roots.items() if root["kind"] == FILES and root["folder"] == folder]
    try:
        number = root_named(manifest, name)
    except DataError:
        if here:
            return manifest
        raise
    root = manifest.roots[number]
    if root["kind"] != FILES:
        raise DataError(f"{quoted(name)} is no folder of pictures and videos; `index add` it where it is now instead")
    if not os.path.isdir(folder):
        raise DataError(f"{quoted(path)} is no folder; correct where {quoted(name)} was moved to")
    if here and here != [number]:
        raise DataError(
            f"{quoted(path)} is in this index already; take one of the two out with `index remove --source`"
        )
    spec = json.dumps({**mapping_of(root["spec"]), "path": folder}, ensure_ascii=True)
    return manifest.replaced(roots={**manifest.roots, number: {**root, "spec": spec, "folder": folder}})


def overlaps(manifest: Manifest, place: Place) -> Iterator[str]:
    """Sentences on folders of an index that lie in a folder, or in which it lies: their pictures come twice."""
    for root in manifest.roots.values() if place.kind == FILES else ():
        own, other = (os.path.join(folder, "") for folder in (place.folder, root["folder"]))
        if root["kind"] == FILES and own != other and (own.startswith(other) or other.startswith(own)):
            inner, outer = sorted((place.folder, root["folder"]), key=len, reverse=True)
            yield (
                f"{name_text(inner)} lies in {name_text(outer)}, and both are in this index, so its pictures are found "
                "twice; take one of them out with `index remove --source`"
            )


def check_options(manifest: Manifest, place: Place) -> None:
    """ConfigError where a place is in the index with other options."""
    for root in manifest.roots.values():
        same_folder = root["kind"] == FILES == place.kind and root["folder"] == place.folder
        if same_folder and root["spec"] != place.spec or root["spec"] == place.spec and root["kind"] != place.kind:
            raise ConfigError(
                f"{place.name} is in this index with other options ({root['kind']}, {root['spec']}); repeat these, or "
                "take it out with `index remove --source` first"
            )
