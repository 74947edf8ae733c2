"""What is wrong with a request that its schema does not let through: the first fault, in one sentence."""

from typing import Any

from fastapi.exceptions import RequestValidationError

from .refusals import Refusal

WRONG: dict[str, tuple[str, str]] = {
    "missing": ("is missing; give it", "缺失；请提供"),
    "extra_forbidden": ("is not known; leave it out", "不是已知字段；请去掉"),
    "json_invalid": ("is no JSON; correct it", "不是合法的 JSON；请改正"),
    "less_than_equal": ("must be at most {le}", "不能大于 {le}"),
    "less_than": ("must be below {lt}", "必须小于 {lt}"),
    "greater_than_equal": ("must be at least {ge}", "不能小于 {ge}"),
    "greater_than": ("must be above {gt}", "必须大于 {gt}"),
    "string_too_long": ("must have at most {max_length} characters", "不能超过 {max_length} 个字符"),
    "string_too_short": ("must have at least {min_length} characters", "不能少于 {min_length} 个字符"),
    "too_long": ("must have at most {max_length} entries", "不能超过 {max_length} 项"),
    "too_short": ("must have at least {min_length} entries", "不能少于 {min_length} 项"),
    "literal_error": ("must be one of {expected}", "只能是 {expected} 之一"),
    "enum": ("must be one of {expected}", "只能是 {expected} 之一"),
    "union_tag_not_found": ("must have one of text, id, upload and vector", "必须含有 text、id、upload、vector 之一"),
    "finite_number": ("must be a finite number", "必须是有限的数"),
}
"""{kind of a fault: (English, Chinese)}, with what it is compared with in braces"""
KINDS = (
    ("int", ("must be a whole number", "必须是整数")),
    ("float", ("must be a number", "必须是数")),
    ("string", ("must be a text", "必须是文字")),
    ("bool", ("must be true or false", "必须是 true 或 false")),
    ("list", ("must be a list", "必须是列表")),
    ("model", ("must be an object", "必须是对象")),
    ("dict", ("must be an object", "必须是对象")),
)
"""What other kinds of faults begin with"""
OTHER = ("is not what is expected here; see /openapi.json", "不符合要求；请参阅 /openapi.json")
BRANCH = "constrained-"
"""How pydantic names one of several kinds that a value may be of"""
LONGEST = 60
"""Characters of a field's name that a sentence shows"""


def fault_of(error: RequestValidationError) -> Refusal:
    """The Refusal `invalid` of the first fault of a request."""
    first: dict[str, Any] = next(iter(error.errors()), {"type": "", "loc": ("body",), "ctx": {}})
    kind, values = str(first["type"]), first.get("ctx") or {}
    wrong = WRONG.get(kind) or next((told for start, told in KINDS if kind.startswith(start)), OTHER)
    known = {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in values.items()}
    listed = {name: value.replace(" or ", "、").replace(", ", "、") for name, value in known.items()}
    english, chinese = wrong[0].format_map(Known(known)), wrong[1].format_map(Known(listed))
    place = ("body",) if kind == "json_invalid" else first["loc"]
    return Refusal(422, "invalid", field=field_of(place), wrong=english, wrong_zh=chinese)


class Known(dict):
    """Values by name; one that is not there is shown by its name."""

    def __missing__(self, key: str) -> str:
        return key


def field_of(place: tuple[Any, ...]) -> str:
    """A place in a request as a person writes it: `parts[0].text`, without where in the request it is."""
    named = [part for part in place[1:] if not str(part).startswith(BRANCH)]
    inner = [part for part in named if part not in ("text", "id", "upload", "vector") or part is named[-1]]
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in inner).removeprefix(".")
    return (text or str(place[0] if place else "body"))[:LONGEST]
