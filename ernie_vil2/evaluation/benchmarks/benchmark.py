"""What a benchmark declares of itself: the function that measures it, and its options as a record."""

import dataclasses
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ...errors import ConfigError, nearest
from ...messages import quoted
from ..runs.records import Outcome

Record = TypeVar("Record")
ARGUMENTS = ("model", "name", "data", "progress")
"""Arguments of every `Benchmark.evaluate` that are no options."""
KINDS = (bool, int, str)
MOST = 10**12
"""Of a number"""


@dataclass(frozen=True)
class Benchmark:
    """A benchmark as `registry` finds it.

    evaluate: function (model, name, data, *, split, progress, **options) -> Outcome. options: the record (a dataclass)
    of what it can be told beside its split; a field is bool, int (at least 1, or what its metadata call `least`) or
    str, or None by default. sets: where it is one of images and texts in files, function (name, data, split,
    allow_counts) -> [Pairs], which needs no model. drawn: whether it reads no files, so that `data` is None.
    """

    evaluate: Callable[..., Outcome]
    options: type
    sets: Callable[..., list] | None = None
    drawn: bool = False


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of a benchmark that has no others. allow_counts: another count than the known one is a note, not an
    error."""

    allow_counts: bool = False


def kinds(options: type) -> dict[str, type]:
    """{option: bool, int or str} of a record of options; what a command line gives is read as that."""
    found = {}
    for name, hint in typing.get_type_hints(options).items():
        allowed = typing.get_args(hint) or (hint,)
        found[name] = next(kind for kind in KINDS if kind in allowed)
    return found


def read_options(options: type[Record], given: Mapping[str, Any], benchmark: str) -> Record:
    """The record of the options that were given to a benchmark.

    Raises ConfigError for one that it has not, naming the nearest, and for a number below the least one.
    """
    known, fields = kinds(options), {field.name: field for field in dataclasses.fields(options)}
    for option, value in given.items():
        if option not in known:
            raise ConfigError(foreign(option, options, benchmark))
        if known[option] is not int or (value is None and fields[option].default is None):
            continue
        least = fields[option].metadata.get("least", 1)
        if type(value) is not int or not least <= value <= MOST:
            rule = f"a whole number of at least {least} and at most {MOST:,}"
            raise ConfigError(f"{option} is {quoted(value)}, but it must be {rule}")
    return options(**given)


def foreign(option: str, options: type, benchmark: str) -> str:
    """The sentence on an option that a benchmark has not."""
    known = kinds(options)
    if option == "skip_broken":
        return (
            f"--skip-broken does not go with the benchmark {benchmark}, which skips no image: a broken one is "
            "named and ends the run; leave the option out"
        )
    if options is Options or option in ARGUMENTS:
        return f"the benchmark {benchmark} has no option {option}; leave it out"
    close = nearest(option, known)
    return f"unknown option {option!r}; " + (f"did you mean {close!r}?" if close else f"take one of {', '.join(known)}")
