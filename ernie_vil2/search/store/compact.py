"""An index in one segment: without pictures that are gone, old metadata, and texts that no picture has."""

from .folding import fold
from .snapshot import Snapshot
from .writer import Writer


def compact(writer: Writer) -> Snapshot:
    """Rewrite all rows once, under the ids they have, with a commit of what is pending before. The files of neighbours
    stay as they are: ids in them that are no longer there are passed over."""
    snapshot = writer.commit()
    manifest, images, texts = snapshot.manifest, snapshot.images, snapshot.texts
    rows = {"images": len(images), "texts": len(texts)}
    whole = len(manifest.segments) <= 1 and all(manifest.rows(part) == count for part, count in rows.items())
    if whole and not manifest.rows("changed") and manifest.removed is None:
        return snapshot
    alive = {"image": images.known, "text": texts.known}
    with writer.kept():
        segments = []
        if any(rows.values()):
            segments.append(fold(writer.folder, manifest.segments, manifest.width, writer.new_number(), alive))
        return writer.publish(manifest.replaced(segments=segments, removed=None))
