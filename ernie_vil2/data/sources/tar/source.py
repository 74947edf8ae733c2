"""Tar shards as a source: webdataset's layout, as img2dataset and `ernie-vil2 data shard` write it."""

import os
import sys
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import SupportsIndex

from tqdm import tqdm

from ....errors import ConfigError, DataError
from ....files.digests import sha256_of
from ....files.paths.litter import is_litter
from ....files.paths.names import distinct_texts, name_text
from ....messages import counted
from .. import stem_parts
from ..base import RowError, Sample, Source, without_front
from ..stem_parts import IMAGE
from . import manifest
from .headers import shown
from .index import kept_index, open_index
from .walk import NO_CAPTION, NO_IMAGE

SHOWN = 20
ADVICE = {
    NO_IMAGE: "these are failed downloads as a rule, and nothing needs to be done",
    NO_CAPTION: "add a .txt or .json of the same stem where they are wanted",
    "names that lead out of the folder": "nothing is ever unpacked; rename them and write the tar again if wanted",
}


class TarSource(Source):
    """The samples of tars, one after the other: an image with the .txt, .json or both of the same stem.

    `path` is a tar, a folder of tars, or a list of tars. A tar is indexed at first sight. Where the folder has an
    `index.json` of ours, a tar of the size that stands there is not opened before it is read.
    """

    def __init__(self, path: str | os.PathLike | list):
        self.name = name_text(f"{path[0]} ... {path[-1]}" if isinstance(path, list) else path)
        self.paths = tar_files(path)
        self.folder = os.path.commonpath([os.path.dirname(os.path.abspath(tar)) for tar in self.paths])
        labels = [os.path.splitext(os.path.relpath(tar, self.folder))[0] for tar in self.paths]
        texts = distinct_texts(labels)
        self.labels = [texts.get(label, label) for label in labels]
        self.whole = not isinstance(path, list) and os.path.isdir(path)
        self.prefix = ""
        self.indices, self.changed = {}, []
        self.promised = self._promises()
        unknown = [number for number in range(len(self.paths)) if number not in self.promised]
        for number in tqdm(unknown, "indexing", leave=False, delay=2, unit="tar", disable=not sys.stderr.isatty()):
            self.indices[number] = open_index(self.paths[number])
        self.ends = list(accumulate(map(self._count, range(len(self.paths)))))
        if not len(self):
            why = next(iter(self.notes), "no image has a .txt or .json of its stem")
            raise DataError(f"{self.name}: there is no whole sample in {counted(len(self.paths), 'tar')}: {why}")

    def __len__(self):
        return self.ends[-1]

    def load(self, index: int) -> Sample:
        number, row = self._place(index)
        tar = self._index(number)
        (member, image), text, document = tar.parts(row)
        where = f"{name_text(tar.path)}:{shown(member.name)}"
        if not image:
            raise RowError(where, "no image", "the image is empty", "fetch it again, or write the tar without it")
        return stem_parts.sample(
            image,
            text and text[1],
            document and document[1],
            where,
            self._default_id(number, member),
            self._space(number),
        )

    def where(self, index: SupportsIndex) -> str:
        number, row = self._place(self.position(index))
        try:
            name = shown(self._index(number).parts(row, content=False)[IMAGE][0].name)
        except DataError:  # a message about a tar that went away still needs a place
            name = f"sample {row + 1}"
        return f"{name_text(self.paths[number])}:{name}"

    def key(self, index: SupportsIndex) -> str:
        number, row = self._place(self.position(index))
        tar = self._index(number)
        (member, _), _, document = tar.parts(row, content=False)
        where = f"{name_text(tar.path)}:{shown(member.name)}"
        mapping = stem_parts.parse(document[1], where) if document else {}
        return stem_parts.image_id(mapping, where, self._default_id(number, member), self._space(number))

    def qualify_ids(self, folders: bool = True) -> None:
        self.apart = True
        if folders:
            self.prefix = f"{name_text(self.folder)}/"

    def own_id(self, index: int, key: str) -> str:
        return without_front(key, self._space(self._place(index)[0]), self.prefix)

    def shard_sizes(self) -> list[int]:
        return [self._count(number) for number in range(len(self.paths))]

    def describe(self) -> str:
        size = sum(shard["bytes"] for shard in self.promised.values())
        size += sum(tar.stamp[0] for number, tar in self.indices.items() if number not in self.promised)
        return f"{self.name}: {counted(len(self), 'sample')} in {counted(len(self.paths), 'tar')}, {size / 1e6:,.1f} MB"

    @property
    def notes(self) -> list[str]:
        return [*self.changed, *self._cuts(SHOWN), *self._left_out()]

    def faults(self, checksums: bool = False) -> Iterator[str]:
        yield from self.changed
        yield from self._cuts()
        for number, shard in self.promised.items():
            try:
                self._index(number)
            except DataError as error:
                yield str(error)
                continue
            if checksums and sha256_of(self.paths[number]) != shard["sha256"]:
                yield f"{self.paths[number]}: the checksum is not that of {manifest.NAME}; copy or write the tar again"

    def _promises(self):
        """{position: entry of index.json} of the tars that have the size which stands there."""
        folders = {folder: manifest.read_manifest(folder) for folder in {os.path.dirname(tar) for tar in self.paths}}
        listed = {
            os.path.join(folder, shard["name"]): shard
            for folder, content in folders.items()
            if content
            for shard in content["shards"]
        }
        # Who gives the ids of a tar: itself, or for those of one manifest the one source that they were written from.
        self.givers = [os.path.dirname(tar) if tar in listed else tar for tar in self.paths]
        self.apart = len(set(self.givers)) > 1
        for folder, content in folders.items():
            if content and not content.get("complete"):
                self.changed.append(f"{folder}: {manifest.NAME} says that writing broke off; run that command again")
        kept = {}
        for number, tar in enumerate(self.paths):
            shard = listed.pop(tar, None)
            status = os.stat(tar) if os.path.isfile(tar) else None
            if not shard or status is None:
                continue  # opening it says what is wrong
            what, has, said = "bytes", status.st_size, shard["bytes"]
            if has == said:  # a tar that was read before has an index, which tells its samples
                known = kept_index(tar, (has, status.st_mtime_ns))
                what, said = "samples", shard["samples"]
                has = known.count if known else said
            if has == said:
                kept[number] = shard
            else:
                self.changed.append(
                    f"{tar}: has {has:,} {what}, {manifest.NAME} says {said:,}; copy or write the tar again"
                )
        if self.whole:
            self.changed += [f"{tar}: is missing, {manifest.NAME} names it; copy the tar here" for tar in listed]
        return kept

    def _count(self, number):
        return self.promised[number]["samples"] if number in self.promised else self.indices[number].count

    def _index(self, number):
        found = self.indices.get(number)
        if found is None:
            found, wanted = open_index(self.paths[number]), self._count(number)
            if found.count != wanted:
                raise DataError(
                    f"{found.path}: holds {counted(found.count, 'sample')}, {manifest.NAME} says {wanted:,}; "
                    "copy or write the tar again"
                )
            self.indices[number] = found
        return found

    def _place(self, index):
        number = bisect_right(self.ends, index)
        return number, index - (self.ends[number - 1] if number else 0)

    def _space(self, number):
        """What stands before the ids that a .json gives."""
        return f"{name_text(self.givers[number])}#" if self.apart else ""

    def _default_id(self, number, member):
        return f"{self.prefix}{self.labels[number]}/{member.stem}"

    def _cuts(self, most=None):
        cut = [tar for _, tar in sorted(self.indices.items()) if tar.cut]
        for tar in cut[:most]:
            used = f"its {tar.count:,} whole samples are used, copy or write the tar again for the rest"
            yield f"{tar.path}: {tar.cut}; {used}"
        if most and len(cut) > most:
            yield f"{len(cut) - most:,} more tars are cut short; ernie-vil2 data check names them all"

    def _left_out(self):
        found = {}
        for _, tar in sorted(self.indices.items()):
            for what, (count, names) in tar.findings.items():
                entry = found.setdefault(what, [0, f"{tar.path}:{names[0]}" if names else tar.path])
                entry[0] += count
        for what, (count, example) in found.items():
            advice = ADVICE.get(what, "write the tar again without them to be rid of this note")
            yield f"{self.name}: left out: {what} ({count:,}), for example {example}; {advice}"


def tar_files(path: str | os.PathLike | list) -> list[str]:
    """The tars that a tar, a folder or a list stands for, as strings, in order of their names in a folder."""
    if isinstance(path, list):
        return [os.fspath(tar) for tar in path]
    if not isinstance(path, (str, os.PathLike)):
        raise ConfigError(f"a tar source has the path {path!r}; give a tar, a folder of tars, or a list of tars")
    path = os.fspath(path)
    if not os.path.isdir(path):
        return [path]
    found = sorted(name for name in os.listdir(path) if is_tar(name))
    if not found:
        raise DataError(f"{path}: the folder holds no .tar; give a folder of tars, or a glob such as '**/*.tar'")
    return [os.path.join(path, name) for name in found]


def is_tar(path: str | os.PathLike) -> bool:
    """Whether a name is that of a tar and not hidden; a compressed one counts, so that opening it names it."""
    name = os.path.basename(path)
    return name.lower().endswith((".tar", ".tar.gz", ".tgz")) and not is_litter(name)
