"""CBVS-20K: covers of short videos for queries of users, with labels 0, 1 and 2; recall and graded metrics.

Source: Qiao et al., CBVS: A Large-Scale Chinese Image-Text Benchmark for Real-World Short Video Search Scenarios. For
recall, as for MAP, a document of label 2 is right, and all documents are candidates; this reading is ours.
"""

from pathlib import Path

import numpy as np

from ....data.sources import fields
from ....data.sources.lines import LineFile
from ....data.sources.rows.texts import decode_utf8
from ....errors import ConfigError, DataError
from ....files.digests import sha256_of
from ..benchmark_folder import Folder
from .pairs import Builder, Pairs
from .protocols import Protocols
from .rules import RELEVANT

NAMES = ("cbvs20k.txt", "cbvs-20k.txt", "cbvs20k.tsv")
WANTED = {"documents": 19_662, "queries": 2_487, "graded pairs": 20_001}
LABELS = ("0", "1", "2")
SOURCE = "it is on the project page QQBrowserVideoSearch/CBVS-UniCLIP"
IMAGES = (
    "the covers are files named by their docid, such as imgs/70001002_d3349orxhl9.jpg, from the addresses in the "
    "third column"
)


def read(data: str | Path, protocol: str | None = "20k", split: str = "test", allow_counts: bool = False) -> Pairs:
    """Pairs with grades from lines `query TAB docid TAB url TAB label`; a pair that is listed twice counts twice."""
    if split != "test":
        raise ConfigError("cbvs has no other split than test; leave --split out")
    builder, folder = Builder(PROTOCOLS.title(protocol, split), allow_counts), Folder(data)
    path = folder.find(NAMES, "the graded pairs", SOURCE)
    lines, queries, grades, listed = LineFile(path), {}, [], set()
    for row in range(len(lines)):
        where = lines.where(row)
        columns = decode_utf8(lines.read(row), where, "line").split("\t")
        if len(columns) != 4:
            raise DataError(
                f"{where}: the line has {len(columns)} columns instead of 4; write query, docid, url and "
                "label, separated by tabs"
            )
        query, document, _, label = (column.strip() for column in columns)
        if label not in LABELS:
            raise DataError(f"{where}: the label is {label!r}; write 0, 1 or 2")
        if document not in builder.rows:
            builder.add_image(document, where)
        if query not in queries:
            queries[query] = len(builder.texts)
            builder.add_text(fields.caption(query, where), [], where)
        grades.append((queries[query], builder.rows[document], int(label)))
        listed.add(grades[-1][:2])
    if len(listed) < len(grades):
        builder.notes.append(
            f"lines that repeat a query and a document: {len(grades) - len(listed):,}, which count "
            "again as in the authors' script"
        )
    builder.links = [(query, document) for query, document, label in grades if label >= RELEVANT]
    return builder.from_files(
        folder.images(),
        {path.name: sha256_of(path)},
        WANTED,
        folder.path,
        IMAGES,
        grades=np.array(grades, np.int64),
        rule="graded",
    )


PROTOCOLS = Protocols("cbvs", ("20k",), "test", read)
BENCHMARKS = {PROTOCOLS.name: PROTOCOLS.benchmark()}
