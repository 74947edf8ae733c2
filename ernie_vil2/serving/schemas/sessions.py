"""What is told of who asks."""

from pydantic import BaseModel, Field

from .parts import Strict

LONGEST_KEY = 1000


class Limits(BaseModel):
    """What is refused beyond: bytes of an upload, characters of a sentence, hits of all pages."""

    upload_bytes: int
    text: int
    depth: int


class SessionRecord(BaseModel):
    """needs_key: whether a key has to be known; signed_in: whether who asks has shown it; paths: whether answers say
    where files lie."""

    needs_key: bool
    signed_in: bool
    paths: bool
    limits: Limits


class SignIn(Strict):
    """The key, from who wants to sign in."""

    key: str = Field(min_length=1, max_length=LONGEST_KEY)
