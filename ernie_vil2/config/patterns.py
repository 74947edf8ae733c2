"""Regular expressions of a configuration: only those that a name is compared with in bounded time.

Python's `re` tries every way in which an expression can fit, of which `(.+)+x` has 2^n for a name of n characters. The
ways are counted on the expression itself, as it is parsed.
"""

import math
import re
import typing

try:
    from re import _constants as codes
    from re import _parser as parser
except ImportError:  # Python 3.10
    import sre_constants as codes
    import sre_parse as parser

MOST_CHARACTERS, NAME = 500, 128
"""Of an expression, and of the names that it is compared with"""
MOST_WAYS = 1e9
"""Four times any characters have fewer, and compare with a name in milliseconds"""
REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT)


def pattern_error(pattern: str) -> str | None:
    """What a text must be to serve as a regular expression on names, or None where it does."""
    if not pattern:
        return "a regular expression that is not empty"
    if len(pattern) > MOST_CHARACTERS:
        return f"a regular expression of at most {MOST_CHARACTERS} characters"
    try:
        re.compile(pattern)
        ways = ways_to_fit(parser.parse(pattern))
    except (re.error, OverflowError, RecursionError, MemoryError) as error:
        return f"a regular expression ({str(error) or type(error).__name__})"
    if ways > MOST_WAYS:
        return "a regular expression that fits in fewer ways; put no * or + inside of another and use few of them"
    return None


def ways_to_fit(part: typing.Any) -> float:
    """An upper bound of the ways in which a parsed expression fits at the beginning of a name."""
    return math.prod(ways_of(code, value) for code, value in part)


def ways_of(code: typing.Any, value: typing.Any) -> float:
    """An upper bound of the ways in which one part of a parsed expression fits."""
    if code in REPEATS:
        least, most, ways = value[0], min(int(value[1]), max(int(value[0]), NAME)), ways_to_fit(value[2])
        if ways <= 1:
            return most - least + 1
        return math.inf if most * math.log(ways) > 100 else sum(ways**count for count in range(least, most + 1))
    if code is codes.BRANCH:
        ways = [ways_to_fit(option) for option in value[1]]
        literal = all(len(option) and option[0][0] is codes.LITERAL for option in value[1])
        begins = {chr(option[0][1]).casefold() for option in value[1]} if literal else ()
        return max(ways) if len(begins) == len(ways) else sum(ways)
    return math.prod(map(ways_to_fit, inner(value)))


def inner(value: typing.Any) -> list[typing.Any]:
    """The parsed expressions inside of a part that is no repeat and no choice."""
    parts = value if isinstance(value, tuple) else [value]
    return [part for part in parts if isinstance(part, parser.SubPattern)]
