"""A source made of others: every row is a row of one of its parts."""

from .samples import Source


class CompositeSource(Source):
    """Sub-classes set `parts` and `name`, and say in `locate` which row of which part a position is."""

    def locate(self, index):
        """(part, row in it) of a position 0 <= index < len."""
        raise TypeError(f"{type(self).__name__} does not say where its rows come from")

    def load(self, index):
        part, row = self.locate(index)
        return part.load(row)

    def where(self, index):
        part, row = self.locate(self.position(index))
        return part.where(row)

    def key(self, index):
        part, row = self.locate(self.position(index))
        return part.key(row)

    def tell_folders_apart(self):
        """Qualify ids when the parts lie in several folders; to be called once `parts` are set."""
        if len({getattr(part, "folder", None) for part in self.parts}) > 1:
            self.qualify_ids()

    def qualify_ids(self):
        for part in self.parts:
            part.qualify_ids()

    @property
    def notes(self):
        return [note for part in self.parts for note in part.notes]

    def faults(self, checksums=False):
        for part in self.parts:
            yield from part.faults(checksums)

    def unused_files(self):
        for part in self.parts:
            yield from part.unused_files()
