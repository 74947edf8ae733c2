"""MUGE, retrieval of products: a query may have several images; the validation set is reported, text to image only."""

from pathlib import Path

from ....errors import ConfigError
from ..benchmark_folder import Folder, MissingFile
from . import clip_files
from .pairs import Builder, Pairs
from .protocols import Protocols

SPLITS = ("valid", "train", "test")
KEYS = ("query_id", "query_text", "item_ids")
COUNTS = {"valid": {"images": range(25_000, 35_001), "queries": range(4_500, 5_501)}}  # published as 30k and 5k
SOURCE = "the data are given out after registration on Tianchi's page of the data set MUGE (multimodal retrieval)"


def read(data: str | Path, protocol: str | None = "valid", split: str = "valid", allow_counts: bool = False) -> Pairs:
    """Pairs from `MR_valid_queries.jsonl` with `MR_valid_imgs.tsv`, or from Chinese-CLIP's files."""
    if split not in SPLITS:
        raise ConfigError(f"muge has no split {split!r}; known are {', '.join(SPLITS)}")
    builder, folder = Builder(PROTOCOLS.title(protocol, split), allow_counts), Folder(data)
    names = f"MR_{split}_queries.jsonl", f"MR_{split}_imgs.tsv"
    if any(folder.optional([name]) for name in names):
        queries, images = folder.find(names[:1], "the queries", SOURCE), folder.find(names[1:], "the images", SOURCE)
        filled = clip_files.fill_tsv(builder, images, queries, KEYS)
    else:
        filled = clip_files.fill(builder, folder, split)
    if filled is None:
        raise MissingFile(
            f"{folder.path} lacks the {split} set, looked for as {' with '.join(names)}, or as "
            f"{clip_files.names(split)}; {SOURCE}"
        )
    return builder.finish(*filled, COUNTS.get(split, {}), folder.path, rule="text_to_image")


PROTOCOLS = Protocols("muge", ("valid",), "valid", read)
BENCHMARKS = {PROTOCOLS.name: PROTOCOLS.benchmark()}
