"""What an index may show after a kill, and what it must show at the end: every fault as a sentence."""

import json
from pathlib import Path

from ernie_vil2.cli.index.check import neighbours_faults
from ernie_vil2.errors import UserError
from ernie_vil2.search.scan.fault import BAD
from ernie_vil2.search.store.check import check
from ernie_vil2.search.store.manifest import MANIFEST, Manifest, read_manifest
from ernie_vil2.search.store.snapshot import NEIGHBOURS, SEGMENTS, open_snapshot
from ernie_vil2.search.store.writer import LOCK
from tests.kills.forked import COMMITS

Shown = dict[tuple[str, str, str], tuple]
"""{(image, folder of the root, key) or (text, kind, text): all that is known of the row, its vector last}"""


def shown(index: Path) -> Shown:
    """All that an index shows, whatever its ids are."""
    snapshot = open_snapshot(index)
    roots, found = snapshot.manifest.roots, {}
    texts, images = snapshot.texts, snapshot.images
    named = {}
    for row, vector in zip(texts.take(texts.live_ids()).to_pylist(), texts.vectors(texts.live_ids()), strict=True):
        named[row["id"]] = row["kind"], row["text"]
        found["text", row["kind"], row["text"]] = (vector.tobytes(),)
    for row, vector in zip(images.take(images.live_ids()).to_pylist(), images.vectors(images.live_ids()), strict=True):
        root = roots[row.pop("root")]
        row["texts"] = [named[number] for number in row["texts"]]
        del row["id"]
        place = "image", root["folder"] or root["spec"], row["key"]
        found[place] = (*(f"{name} {value!r}" for name, value in row.items()), vector.tobytes())
    return found


def faults_of(index: Path) -> list[str]:
    """What `index check` finds."""
    try:
        return check(index, True, neighbours_faults)
    except UserError as error:
        return [str(error)]


def torn(folder: Path, right: Path, there: bool, older: bool) -> list[str]:
    """A verb that was killed: the index `out` opens, is whole, and has all that was committed. there: whether it had
    begun with one; older: whether the one in its place is the older or the new one, and may be set aside."""
    out = folder / "out"
    if older and not out.exists():
        out = max(folder.glob("out.replaced-*"), default=out)
    if not (out / MANIFEST).exists():
        return ["the index is gone"] if there else []
    if faults := faults_of(out):
        return faults
    if older:
        found = shown(out)
        return [] if found in (shown(folder / "older"), shown(right / "out")) else ["it is neither the old nor the new"]
    snapshot, committed = open_snapshot(out), last_commit(folder / COMMITS)
    if snapshot.manifest.sequence < committed["sequence"]:
        return [f"the commit {committed['sequence']} is lost: {snapshot.manifest.sequence} is what lies there"]
    if snapshot.manifest.sequence == committed["sequence"] and len(snapshot.images) != committed["living"]:
        return [f"{committed['living']} pictures were committed, and {len(snapshot.images)} are there"]
    return []


def last_commit(path: Path) -> dict[str, int]:
    """The last commit that a scan noted in whole."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return json.loads(lines[-1]) if lines else {"sequence": -1, "living": 0}


def wrong(folder: Path, right: Path) -> list[str]:
    """A verb that has ended: the index is whole, shows what that of the straight run does, and has no other file."""
    out, wanted = folder / "out", right / "out"
    if not (out / MANIFEST).exists():
        return ["there is no index"]
    if faults := faults_of(out):
        return faults
    return [*different(shown(out), shown(wanted)), *different_kept(out, wanted), *unnamed(out, read_manifest(out))]


def different(found: Shown, right: Shown) -> list[str]:
    """Rows that are missing, too many, or others."""
    faults = []
    for place in sorted(set(found) | set(right)):
        what = " ".join(place)
        if place not in found:
            faults.append(f"{what} is missing")
        elif place not in right:
            faults.append(f"{what} is one too many")
        elif found[place] != right[place]:
            parts = zip(found[place], right[place], strict=True)
            one, other = next((one, other) for one, other in parts if one != other)
            faults.append(f"{what} has another vector" if isinstance(one, bytes) else f"{what}: {one} and not {other}")
    return faults


def different_kept(out: Path, wanted: Path) -> list[str]:
    """What is kept beside the rows: the list of bad files, sources, and the kinds of neighbours."""
    bad, right = (
        sorted((place / BAD).read_bytes().splitlines()) if (place / BAD).exists() else [] for place in (out, wanted)
    )
    faults = (
        [] if bad == right else [f"{BAD} lists {len(bad)} files, which are not the {len(right)} of the straight run"]
    )
    one, other = read_manifest(out), read_manifest(wanted)
    if sorted(map(str, one.roots.values())) != sorted(map(str, other.roots.values())):
        faults.append(f"its sources are {one.roots} and not {other.roots}")
    kinds, right = ({side: record["kind"] for side, record in each.neighbours.items()} for each in (one, other))
    return faults if kinds == right else [*faults, f"its neighbours are {kinds} and not {right}"]


def unnamed(out: Path, manifest: Manifest) -> list[str]:
    """Files of an index that its manifest does not name."""
    named = {MANIFEST, LOCK, BAD, SEGMENTS, NEIGHBOURS}
    if manifest.removed:
        named.add(manifest.removed.file)
    places = {
        out: named,
        out / SEGMENTS: {segment.name for segment in manifest.segments},
        out / NEIGHBOURS: {record.get("place") for record in manifest.neighbours.values()},
    }
    entries = ((place, entry) for place in places if place.is_dir() for entry in sorted(place.iterdir()))
    return [f"{entry.relative_to(out)} is of no index" for place, entry in entries if entry.name not in places[place]]
