"""One pass over the members of a tar: which of them belong together as a sample, and what is left out."""

from array import array

import numpy as np

from ....files.paths.litter import lies_in_litter
from ...images.formats.kinds import HEAD, kind_of
from ..base import digest
from ..stem_parts import IMAGE, JSON, LIMITS, PART_OF_SUFFIX, TEXT, TITLES
from .descriptors import Descriptor
from .headers import Cut, member_at, members, shown

EXAMPLES = 3
PARTS = (IMAGE, TEXT, JSON)
# For each part the first byte of its headers (-1: there is none) and the bytes from there to the end of its content.
ROW = np.dtype([("starts", "<i8", len(PARTS)), ("spans", "<u4", len(PARTS))])
NO_IMAGE, NO_CAPTION = "samples without an image", "images without a caption"


def collect(file: Descriptor, size: int) -> tuple[tuple[array, ...], dict[str, list], str | None]:
    """((stem hashes, parts, starts, spans), findings, cut) of all members, in order."""
    stems, kinds, starts, spans = array("Q"), array("B"), array("q"), array("I")
    findings, cut, end = {}, None, 0
    try:
        for member in members(file.read, size):
            end = member.end
            part, fault = PART_OF_SUFFIX.get(member.suffix), member.fault
            if not fault and lies_in_litter(member.name):
                fault = "hidden members"
            elif not fault and not member.suffix and kind_of(file.read(member.data, HEAD)):
                part = IMAGE
            elif not fault and part is None:
                fault = f"members that are no part of a sample ({shown(member.suffix, 20) or 'no suffix'})"
            if not fault and member.size > LIMITS[part]:
                fault = f"members over the limit of {LIMITS[part] >> 20} MiB for {TITLES[part]} files"
            if fault:
                if fault != "folders":
                    note(findings, fault, member.name)
                continue
            stems.append(digest(member.stem.encode()))
            kinds.append(part)
            starts.append(member.start)
            spans.append(member.data + member.size - member.start)
        if file.read(end, 1 << 20).strip(b"\0"):
            cut = f"an end marker stands at byte {end:,}, what follows it is not read: is this two tars in one file?"
    except Cut as stop:
        cut = f"only the first {stop.at:,} of {size:,} bytes can be read: {stop.reason}"
    return (stems, kinds, starts, spans), findings, cut


def note(findings: dict[str, list], what: str, name: str) -> None:
    """Count something that is left out, with the first names."""
    if what not in findings and len(findings) > 50:
        what = "members of further kinds"
    found = findings.setdefault(what, [0, []])
    found[0] += 1
    if len(found[1]) < EXAMPLES:
        found[1].append(shown(name))


def group(
    stems: array, kinds: array, starts: array, spans: array, file: Descriptor, size: int, findings: dict[str, list]
) -> np.ndarray:
    """ROW [samples], in the order of their images; what is incomplete or repeated goes into `findings`."""
    stems, kinds = np.array(stems, np.uint64), np.array(kinds, np.uint8)
    starts, spans = np.array(starts, np.int64), np.array(spans, np.uint32)
    distinct, sample = np.unique(stems, return_inverse=True)
    rows = np.zeros(len(distinct), ROW)
    rows["starts"] = -1
    for part in PARTS:
        members = np.flatnonzero(kinds == part)[::-1]  # of members with one name the first is written last, and stays
        rows["starts"][sample[members], part] = starts[members]
        rows["spans"][sample[members], part] = spans[members]
        taken = rows["starts"][sample[members], part] == starts[members]
        record(findings, "members that repeat a part of their sample", starts[members[~taken]][::-1], file, size)
    has_image = rows["starts"][:, IMAGE] >= 0
    has_caption = (rows["starts"][:, TEXT] >= 0) | (rows["starts"][:, JSON] >= 0)
    record(findings, NO_IMAGE, np.sort(rows["starts"][~has_image].max(axis=1, initial=-1)), file, size)
    record(findings, NO_CAPTION, np.sort(rows["starts"][has_image & ~has_caption, IMAGE]), file, size)
    rows = rows[has_image & has_caption]
    return rows[np.argsort(rows["starts"][:, IMAGE], kind="stable")]


def record(findings: dict[str, list], what: str, starts: np.ndarray, file: Descriptor, size: int) -> None:
    """Count members, and name the first by reading their headers again."""
    if len(starts):
        named = [shown(member_at(file.read, int(start), size).name) for start in starts[:EXAMPLES]]
        count, names = findings.get(what, (0, []))
        findings[what] = [count + len(starts), [*names, *named][:EXAMPLES]]
