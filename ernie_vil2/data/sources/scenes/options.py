"""The options of drawn scenes as one string, `scenes:split=test,size=1000`."""

from typing import Any

from ....errors import ConfigError
from ....messages import brief, quoted


def scene_options(text: str) -> dict[str, Any]:
    """`split=test,size=1000` as a dict; numbers and true/false are read as such."""
    options = {}
    for item in filter(None, text.split(",")):
        name, equals, value = item.partition("=")
        if not equals:
            raise ConfigError(
                f"scenes:{brief(text, 120)}: {quoted(item)} is not option=value; write for example scenes:split=test"
            )
        if name.strip() in options:
            raise ConfigError(
                f"scenes:{brief(text, 120)}: the option {quoted(name.strip())} is given twice; keep one of them"
            )
        options[name.strip()] = plain_value(value.strip())
    return options


def plain_value(text: str) -> bool | int | float | str:
    """A number, a truth value, or the text itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
