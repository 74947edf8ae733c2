"""Retrieval on embeddings: read them from files or compute them with a model, then measure and print."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError
from .metrics.ranks import PROTOCOLS, percent, retrieval_metrics

FILES = ("image.npy", "image_ids.txt", "text.npy", "text_ids.txt")


@dataclass
class Embeddings:
    """What retrieval is measured on."""

    image: np.ndarray
    """[N, D], one row per distinct image"""
    text: np.ndarray
    """[M, D]"""
    text_image: np.ndarray
    """int64 [M], the row in `image` of each text"""
    pairs_image: np.ndarray | None = None
    """[M, D] the image row beside each text of a text file, for `official`; else None"""
    notes: tuple[str, ...] = ()
    """what a reader of the figures should know"""
    image_ids: tuple[str, ...] = ()
    """the id of every row in `image`, where a source was encoded"""


def read_embeddings(path, ids=None):
    """Embeddings from a directory that holds FILES, or from the release's text file.

    ids: for a text file, a file with the image id of every line, so that `standard` knows which rows show one
    image; without it every line is an image of its own. Raises DataError naming file and line.
    """
    path = Path(path)
    if path.is_dir():
        if ids is not None:
            raise DataError(f"{path} is a directory and has its own ids; leave out the ids file")
        return read_directory(path)
    if not path.is_file():
        raise DataError(f"no embeddings at {path}; give the output of tools/encode.py, a directory or a text file")
    if path.suffix in (".npy", ".npz"):
        raise DataError(f"{path} is one array; give the directory that holds {', '.join(FILES)}")
    return read_text_file(path, ids)


def read_directory(path):
    """Embeddings from the default output of tools/encode.py; arrays are mapped, not read."""
    missing = [name for name in FILES if not (path / name).is_file()]
    if missing:
        raise DataError(f"{path} lacks {', '.join(missing)}; an embeddings directory holds {', '.join(FILES)}")
    arrays = {}
    for name in ("image", "text"):
        try:
            arrays[name] = np.lib.format.open_memmap(path / f"{name}.npy", mode="r")
        except (ValueError, OSError) as error:
            raise DataError(f"{path / name}.npy is not a plain NumPy array ({error}); encode again") from None
    image_ids, text_ids = read_lines(path / "image_ids.txt"), read_lines(path / "text_ids.txt")
    for name, lines in (("image", image_ids), ("text", text_ids)):
        if arrays[name].ndim != 2 or len(arrays[name]) != len(lines):
            raise DataError(
                f"{path / name}.npy has shape {list(arrays[name].shape)} but {name}_ids.txt has "
                f"{len(lines)} lines; one of them is truncated, encode again"
            )
    row = {key: index for index, key in enumerate(image_ids)}
    if len(row) != len(image_ids):
        twice = next(key for index, key in enumerate(image_ids) if row[key] != index)
        raise DataError(f"{path}/image_ids.txt names image {twice!r} twice; keep one row per image")
    orphans = [index for index, key in enumerate(text_ids) if key not in row]
    if orphans:
        raise DataError(
            f"{path}/text_ids.txt, line {orphans[0] + 1}: image {text_ids[orphans[0]]!r} is not in "
            f"image_ids.txt, {len(orphans)} of {len(text_ids)} texts in all; "
            "remove these texts or encode again"
        )
    owner = np.array([row[key] for key in text_ids], dtype=np.int64)
    lonely = len(image_ids) - len(np.unique(owner))
    notes = (f"{lonely} images have no text; they are candidates but ask nothing",) if lonely else ()
    return Embeddings(arrays["image"], arrays["text"], owner, notes=notes)


def read_lines(path):
    """Lines of a UTF-8 file without their ends; DataError when it is not text."""
    try:
        text = Path(path).read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path} as lines of UTF-8 text: {error}") from None
    return text.removesuffix("\n").split("\n") if text else []


def read_text_file(path, ids=None):
    """Embeddings from lines `text vector TAB image vector TAB 1`, numbers separated by blanks.

    Numbers are read as float64 and rounded to float32, as the release does. Not normalised here: the official
    protocol takes them as they stand.
    """
    columns = ([], [])
    with open(path, "rb") as handle:
        for number, line in enumerate(handle, 1):
            parts = line.rstrip(b"\r\n").split(b"\t")
            if len(parts) != 3:
                raise DataError(
                    f"{path}, line {number}: {len(parts)} fields separated by tabs instead of 3 "
                    "(text vector, image vector, 1); this is not the release's embeddings format"
                )
            for column, field, what in zip(columns, parts, ("text", "image"), strict=False):
                try:
                    row = np.array([float(value) for value in field.split()]).astype(np.float32)
                except ValueError as error:
                    raise DataError(
                        f"{path}, line {number}: the {what} vector holds something else than numbers "
                        f"({str(error)[:80]}); encode this row again"
                    ) from None
                if not row.size or (column and row.shape != column[0].shape):
                    wanted = f"line 1 has {len(column[0])}" if column else "a vector is needed"
                    raise DataError(
                        f"{path}, line {number}: the {what} vector has {row.size} numbers, {wanted}; "
                        "the file may be truncated, encode again"
                    )
                column.append(row)
    if not columns[0]:
        raise DataError(f"{path} is empty; there is nothing to evaluate")
    text, image = (np.stack(column) for column in columns)
    if ids is None:
        copies = len(image) - len({row.tobytes() for row in image})
        note = f"{copies} rows repeat another row's image vector; for the standard protocol give the image ids"
        return Embeddings(image, text, np.arange(len(text)), notes=(note,) if copies else ())
    keys = read_lines(ids)
    if len(keys) != len(text):
        raise DataError(f"{ids} has {len(keys)} lines but {path} has {len(text)}; give the image id of every line")
    first, owner = {}, np.empty(len(keys), dtype=np.int64)
    for index, key in enumerate(keys):
        owner[index] = first.setdefault(key, (len(first), index))[0]
    return Embeddings(image[[index for _, index in first.values()]], text, owner, pairs_image=image)


def encode_source(model, source, skip_broken=False, window=256, progress=None, rows=None):
    """Embeddings of every image (once per id, in order of first appearance) and text of a source.

    model: has encode_image and encode_text, as `ernie_vil2.Model`; source: a sequence of samples, read `window` at a
    time. skip_broken: leave out broken samples with their texts and tell of them in the notes, instead of raising
    DataError that says where the sample stands. progress: called with (samples done, all samples). rows: the range
    of rows to encode, by default all.
    """
    selected = range(len(source)) if rows is None else rows
    rows, owner, images, texts, skipped = {}, [], [], [], []
    for start in range(0, len(selected), window):
        samples = []
        for index in selected[start : start + window]:
            try:
                samples.append(source[index])
            except DataError as error:
                keep_or_raise(error, skipped, skip_broken)
        fresh = {}
        for sample in samples:
            if sample.id not in rows:
                fresh.setdefault(sample.id, sample)
        encoded = encode_images(model, list(fresh.values()), skipped, skip_broken)
        images.extend(encoded.values())
        rows.update({key: len(rows) + position for position, key in enumerate(encoded)})
        wanted = [(text, rows[sample.id]) for sample in samples if sample.id in rows for text in sample.texts]
        if wanted:
            texts.append(model.encode_text([text for text, _ in wanted]))
            owner.extend(row for _, row in wanted)
        if progress:
            progress(min(start + window, len(selected)), len(selected))
    if not owner:
        raise DataError("the source holds no usable pair of image and text" + (f": {skipped[0]}" if skipped else ""))
    notes = (f"samples left out: {len(skipped)}, the first: {skipped[0]}",) if skipped else ()
    return Embeddings(
        np.stack(images), np.concatenate(texts), np.array(owner, dtype=np.int64), notes=notes, image_ids=tuple(rows)
    )


def encode_images(model, samples, skipped, skip_broken):
    """{id: embedding [D]} of samples; an image that cannot be used raises or is noted, with the place of its sample."""
    if not samples:
        return {}
    embeds, failures = model.encode_image([sample.image for sample in samples], on_error="skip")
    reasons = dict(failures)
    for position, reason in reasons.items():
        keep_or_raise(DataError(f"{samples[position].where}: {reason}"), skipped, skip_broken)
    return {
        sample.id: row
        for position, (sample, row) in enumerate(zip(samples, embeds, strict=True))
        if position not in reasons
    }


def keep_or_raise(error, skipped, skip_broken):
    """Note the error of a sample, or raise it."""
    if not skip_broken:
        raise error
    skipped.append(str(error))


def evaluate(embeddings, protocol="both"):
    """{protocol: metrics} of `retrieval_metrics` for "official", "standard" or "both"."""
    results = {}
    for name in PROTOCOLS if protocol == "both" else (protocol,):
        image, owner = embeddings.image, embeddings.text_image
        if name == "official":
            image = embeddings.pairs_image
            if image is None:
                image = embeddings.image[embeddings.text_image]
        results[name] = retrieval_metrics(image, embeddings.text, owner, name)
    return results


def table(results):
    """Text of a table per protocol; percentages as the release prints them."""
    lines = []
    for name, values in results.items():
        lines.append(f"{name} protocol: {values['num_images']:,} images, {values['num_texts']:,} texts")
        lines.append("| Name       |    R@1 |    R@5 |   R@10 | meanRecall |    MRR | median rank |")
        lines.append("|------------|--------|--------|--------|------------|--------|-------------|")
        for label, key in (("Text2Image", "t2i"), ("Image2Text", "i2t"), ("MeanRecall", "mean")):
            shown = [percent(values[f"{key}_{part}"]) for part in ("r1", "r5", "r10")]
            shown.append(percent(values["mean_recall" if key == "mean" else f"{key}_mean"]))
            tail = ("", "") if key == "mean" else (f"{values[f'{key}_mrr']:.4f}", f"{values[f'{key}_median_rank']:g}")
            lines.append(
                f"| {label} | {shown[0]:>6} | {shown[1]:>6} | {shown[2]:>6} | {shown[3]:>10} | "
                f"{tail[0]:>6} | {tail[1]:>11} |"
            )
        lines.append("")
    return "\n".join(lines).rstrip("\n")
