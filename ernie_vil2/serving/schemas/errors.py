"""What every refusal and failure looks like."""

from typing import Any

from pydantic import BaseModel


class Fault(BaseModel):
    """code: a fixed name to decide by. message: one sentence in the asked language. values: what stands in it."""

    code: str
    message: str
    values: dict[str, Any]


class FaultAnswer(BaseModel):
    """The answer to a request that was refused or failed."""

    error: Fault


FAULTS: dict[int | str, dict[str, Any]] = {
    "default": {"model": FaultAnswer, "description": "Refused or failed, and why in one sentence"}
}
"""`responses` of an application: whatever is not a status of its own is a FaultAnswer."""
