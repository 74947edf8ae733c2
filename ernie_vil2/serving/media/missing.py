"""Why there is nothing to show of a picture that an index has."""

GONE, CHANGED, VECTOR, UNREADABLE = "picture_missing", "picture_changed", "picture_vector", "picture_unreadable"
"""The file, or the row of a source, is not there; it has another content than the index knows; only its vector is in
the index; its content cannot be decoded, or is over the limits"""


class PictureMissing(Exception):
    """There is nothing to show. state: one of the above."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state
