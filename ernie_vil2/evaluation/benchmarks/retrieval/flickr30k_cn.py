"""Flickr30k-CN: 1,000 test images with 5,000 captions translated by people; the other splits by machines.

Source: Lan, Li, Dong, Fluency-Guided Cross-Lingual Image Captioning. Flickr30k-CNA keeps the test captions.
"""

from pathlib import Path

from ....errors import ConfigError
from ....files.digests import sha256_of
from ..benchmark_folder import Folder, MissingFile
from . import clip_files
from .captions import read_captions, read_ids
from .pairs import Builder, Pairs
from .protocols import Protocols

STEMS = {"test": "flickr30kzhm*test", "val": "flickr30kzhb*val", "train": "flickr30kzhb*train"}
CNA = {"test": "flickr30k_cn_test.txt", "val": "flickr30k_cna_val.txt", "train": "flickr30k_cna_train.txt"}
COUNTS = {
    "test": {"images": 1000, "captions": 5000},
    "val": {"images": 1000, "captions": 5000},
    "train": {"images": 29783, "captions": range(148_000, 149_001)},  # Flickr30k-CNA leaves some out
}
SOURCE = (
    "the captions are on the page of Flickr30k-CN (li-xirong/cross-lingual-cap), or in Flickr30k-CNA of the Zero "
    "benchmark"
)
IMAGES = "the images are applied for with the form on the Flickr30k page of the University of Illinois"


def read(data: str | Path, protocol: str | None = "1k", split: str = "test", allow_counts: bool = False) -> Pairs:
    """Pairs from `seg.flickr30kzhm...test.caption.txt`, from Flickr30k-CNA's text files, or from Chinese-CLIP's."""
    if split not in STEMS:
        raise ConfigError(f"flickr30k-cn has no split {split!r}; known are {', '.join(STEMS)}")
    builder, folder = Builder(PROTOCOLS.title(protocol, split), allow_counts), Folder(data)
    stem, wanted = STEMS[split], COUNTS[split]
    names = (f"seg.{stem}.caption.txt", f"{stem}.caption.txt", CNA[split])
    path, listed = folder.optional(names), folder.optional([f"{stem}.txt"])
    if path is None:
        filled = clip_files.fill(builder, folder, split)
        if filled is None:
            shown = " or ".join(name.replace("*", "boson") for name in names)
            raise MissingFile(
                f"{folder.path} lacks the captions, looked for as {shown}, or as {clip_files.names(split)}; {SOURCE}"
            )
        return builder.finish(*filled, wanted, folder.path)
    captions = read_captions(path, segmented=path.name.startswith("seg."))
    images = dict(read_ids(listed)) if listed else {}
    for caption in captions if not listed else ():
        images.setdefault(caption.image, caption.where)
    for image, where in images.items():
        builder.add_image(image, where)
    for caption in captions:
        builder.add_text(caption.text, [caption.image], caption.where, caption.key)
    files = {file.name: sha256_of(file) for file in (path, listed) if file}
    return builder.from_files(folder.images(), files, wanted, folder.path, IMAGES)


PROTOCOLS = Protocols("flickr30k-cn", ("1k",), "test", read)
BENCHMARKS = {PROTOCOLS.name: PROTOCOLS.benchmark()}
