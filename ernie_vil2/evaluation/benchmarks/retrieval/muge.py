"""MUGE, retrieval of products: a query may have several images; the validation set is reported, text to image only."""

from ....errors import ConfigError
from ..benchmark_folder import Folder, MissingFile
from . import clip_files
from .pairs import Builder
from .protocols import Benchmark

SPLITS = ("valid", "train", "test")
KEYS = ("query_id", "query_text", "item_ids")
COUNTS = {"valid": {"images": range(25_000, 35_001), "queries": range(4_500, 5_501)}}  # published as 30k and 5k
SOURCE = "the data are given out after registration on Tianchi's page of the data set MUGE (multimodal retrieval)"


def read(data, protocol="valid", split="valid", allow_counts=False):
    """Pairs from `MR_valid_queries.jsonl` with `MR_valid_imgs.tsv`, or from Chinese-CLIP's files."""
    if split not in SPLITS:
        raise ConfigError(f"muge has no split {split!r}; known are {', '.join(SPLITS)}")
    builder, folder = Builder(BENCHMARK.title(protocol, split), allow_counts), Folder(data)
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


BENCHMARK = Benchmark("muge", ("valid",), "valid", read)


def evaluate(model, name, data, *, split="valid", allow_counts=False, progress=None):
    """Outcome of `muge`; see `protocols.Benchmark`."""
    return BENCHMARK.evaluate(model, name, data, split, allow_counts, progress)
