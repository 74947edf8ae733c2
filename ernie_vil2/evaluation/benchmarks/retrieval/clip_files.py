"""Chinese-CLIP's forms of any retrieval benchmark: `{split}_imgs.tsv` with `{split}_texts.jsonl`, and its lmdb."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from ....data.sources import fields
from ....data.sources.base import RowError
from ....data.sources.lines import LineFile
from ....data.sources.lmdb import COUNTS, MAX_KEY, MAX_PICKLE, read_pair, reading
from ....data.sources.rows.images import decode_base64
from ....data.sources.rows.texts import decode_utf8, json_object, shorten
from ....errors import DataError
from ....files.digests import sha256_of
from ..benchmark_folder import Folder
from .pairs import Builder

HEAD_BYTES = 256
KEYS = ("text_id", "text", "image_ids")
Filled = tuple[Sequence[bytes], dict[str, str]]
"""(images by row, {file: SHA-256}) of a split whose rows are in a Builder"""
SAME_SPLIT = {"val": ("val", "valid"), "valid": ("valid", "val")}


def names(split: str) -> str:
    """The file names that hold a split, for a message."""
    return " with ".join(f"{split}_{part}" for part in ("imgs.tsv", "texts.jsonl"))


def fill(builder: Builder, folder: Folder, split: str) -> Filled | None:
    """Put the rows of a split into `builder`; None where there are no such files."""
    for name in SAME_SPLIT.get(split, (split,)):
        images, texts = (folder.optional([f"{name}_{part}"]) for part in ("imgs.tsv", "texts.jsonl"))
        if images and texts:
            return fill_tsv(builder, images, texts)
        for place in (folder.path / "lmdb" / name, folder.path / name, folder.path):
            if (place / "imgs" / "data.mdb").is_file() and (place / "pairs" / "data.mdb").is_file():
                return fill_lmdb(builder, place)
    return None


def fill_tsv(builder: Builder, images: Path, texts: Path, keys: tuple[str, str, str] = KEYS) -> Filled:
    """As `fill`, from the two files; `keys` name the text's id, the text and its image ids in the JSON lines."""
    source = TsvImages(LineFile(images))
    for row, head in enumerate(source.lines.heads(HEAD_BYTES)):
        where = source.where(row)
        image_id, tab, _ = head.partition(b"\t")
        if not tab:
            raise RowError(
                where,
                "wrong number of columns",
                "the line has no tab after an image id",
                "write the id and the base64 image, separated by a tab",
            )
        builder.add_image(decode_utf8(image_id.strip(), where, "image id"), where)
    lines = LineFile(texts)
    for row in range(len(lines)):
        where = lines.where(row)
        example = json.dumps(dict(zip(keys, (1, "...", [1]), strict=True)))
        query = json_object(decode_utf8(lines.read(row), where, "line"), where, example)
        text, ids = query.get(keys[1]), query.get(keys[2])
        if not isinstance(text, str):
            raise RowError(where, "no caption", f"{keys[1]} is {shorten(text)}", f"write {example} there")
        if not isinstance(ids, list) or not ids or not all(type(item) in (int, str) for item in ids):
            raise RowError(
                where,
                "bad ids",
                f"{keys[2]} is {shorten(ids)}, so nobody can say what is right",
                "take a split that is published with its answers",
            )
        number = query.get(keys[0])
        builder.add_text(
            fields.caption(text, where),
            [str(item).strip() for item in ids],
            where,
            None if number is None else str(number),
        )
    return source, {texts.name: sha256_of(texts)}


class TsvImages:
    """The images of lines `id TAB base64`, decoded when they are asked for."""

    def __init__(self, lines: LineFile) -> None:
        self.lines = lines

    def __len__(self) -> int:
        return len(self.lines)

    def where(self, row: int) -> str:
        """The place of an image, for a message."""
        return self.lines.where(row)

    def __getitem__(self, row: int) -> bytes:
        return decode_base64(self.lines.read(row).partition(b"\t")[2], self.where(row))


def fill_lmdb(builder: Builder, place: Path) -> Filled:
    """As `fill`, from a folder with `imgs` and `pairs`; a pair is read by a machine that knows no global."""
    with reading(place / "imgs") as transaction:
        ids = [
            key.decode("utf-8", "replace") for key in transaction.cursor().iternext(values=False) if key not in COUNTS
        ]
    for image_id in ids:
        builder.add_image(image_id, f"{place}/imgs")
    texts, content = {}, []
    with reading(place / "pairs") as transaction:
        total = transaction.get(b"num_samples") or b""
        if not total.isdigit():
            raise DataError(f"{place}/pairs: has no num_samples; give an lmdb that Chinese-CLIP's tool wrote")
        for number in range(int(total)):
            where = f"{place}/pairs:{number}"
            raw = transaction.get(str(number).encode())
            if raw is None or len(raw) > MAX_PICKLE:
                reason = f"has {len(raw):,} bytes" if raw else f"is missing, and num_samples is {int(total):,}"
                raise RowError(where, "bad pair", f"the pair {reason}", "write the lmdb again")
            image_id, text_id, text = read_pair(raw, where)
            if type(image_id) not in (int, str) or type(text_id) not in (int, str) or not isinstance(text, str):
                raise RowError(where, "bad pair", "the pair is not (image id, text id, text)", "write the lmdb again")
            known = texts.setdefault(str(text_id), (text, [], where))
            if known[0] != text:
                raise RowError(
                    where, "bad pair", f"text {text_id!r} is another one at {known[2]}", "write the lmdb again"
                )
            known[1].append(str(image_id))
            content.append([str(image_id), str(text_id), text])
    for text_id, (text, image_ids, where) in texts.items():
        builder.add_text(fields.caption(text, where), image_ids, where, text_id)
    return LmdbImages(place, ids), {"pairs": hashlib.sha256(json.dumps(content).encode()).hexdigest()}


class LmdbImages:
    """The images of an lmdb, decoded when they are asked for."""

    def __init__(self, place: Path, ids: list[str]) -> None:
        self.place, self.ids = place, ids

    def __len__(self) -> int:
        return len(self.ids)

    def where(self, row: int) -> str:
        """The place of an image, for a message."""
        return f"{self.place}/imgs:{self.ids[row]}"

    def __getitem__(self, row: int) -> bytes:
        with reading(self.place / "imgs") as transaction:
            raw = transaction.get(self.ids[row].encode()[:MAX_KEY])
        if raw is None:
            raise RowError(self.where(row), "no image", "imgs lacks it", "write the lmdb again")
        return decode_base64(raw, self.where(row))
