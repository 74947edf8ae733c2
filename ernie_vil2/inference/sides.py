"""Which sides of a source are encoded: images, texts, or both; and what cannot give them."""

from collections.abc import Collection

from ..data.sources.base import IMAGE_ALONE, SIDES, TEXT_ALONE, Source, require_sides
from ..errors import ConfigError


def sides_of(source: Source, only: str | None = None) -> tuple[str, ...]:
    """The sides to encode: the one that is asked for, or all that the source has. Raises DataError where rows that
    should have an image have none, and where no row has a text that should be encoded."""
    sides = (only,) if only else source.sides
    use = f"--only {only}" if only else "encoding without --only text"
    require_sides(
        source,
        use,
        every=IMAGE_ALONE if "image" in sides else (),
        some=TEXT_ALONE if "text" in sides else (),
    )
    return sides


def check_towers(sides: Collection[str], towers: Collection[str]) -> None:
    """ConfigError where a model, by the names of its towers, cannot encode all of these sides."""
    missing = next((side for side in sides if side not in towers), None)
    if missing is not None:
        able = " and ".join(side for side in sides if side in towers)
        fix = f"give --only {able}" if able else f"load one that has it, or give a source of {'/'.join(towers)}s"
        raise ConfigError(f"this model has no {missing} tower; {fix}")


def only_of(sides: Collection[str]) -> str | None:
    """The one side among these, or None where it is both."""
    return None if len(sides) == len(SIDES) else next(iter(sides))
