"""The key of a server: where it is read from, and who has shown it.

A program sends it as `Authorization: Bearer KEY`; the page sends it once and gets a cookie, which is not the key but a
session of its own: what a browser keeps opens no other server, and ends when it is signed out, or with this process.
"""

import asyncio
import hashlib
import hmac
import logging
import os
import secrets
import stat

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import Scope

from ...errors import ConfigError, advice
from ...files.text import read_lines
from ..refusals import Refusal

LOG = logging.getLogger("ernie_vil2")
VARIABLE = "ERNIE_VIL2_KEY"
SHORTEST, MOST_BYTES = 16, 4096
MAKE = "make one with `openssl rand -hex 32`"
DELAY, MOST_DELAYED, WAIT = 0.5, 16, 1
"""Seconds until a wrong key is answered, how many of them are made to wait (a right one never is), and seconds after
which others may come"""
MOST_SESSIONS = 10_000
"""That are remembered; the oldest is forgotten for one more"""
TOKEN_BYTES = 32
FREE = frozenset(("/", "/health", "/ready", "/openapi.json", "/favicon.ico", "/api/session"))
FREE_FOLDER = "/static/"
"""What is answered without a key: what the page consists of, and whether the server is well"""


def read_key(file: str | os.PathLike | None) -> str | None:
    """The key in a file, or in the environment's ERNIE_VIL2_KEY; None without either. Raises ConfigError where what is
    there is no key, and warns of a file that others may read."""
    if file is None:
        given = os.environ.get(VARIABLE)
        return None if given is None else checked(given.strip(), VARIABLE)
    try:
        lines = [line.strip() for line in read_lines(file, MOST_BYTES)]
        mode = os.stat(file).st_mode
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror or error}; {advice(error, 'correct --key-file')}") from error
    lines = [line for line in lines if line]
    if len(lines) > 1:
        raise ConfigError(f"{file}: there are {len(lines)} lines; a key is one line")
    key = checked(lines[0] if lines else "", str(file))
    if stat.S_ISREG(mode) and mode & (stat.S_IRGRP | stat.S_IROTH):
        LOG.warning("%s: other users of this machine may read the key; chmod 600 keeps it to you", file)
    return key


def checked(key: str, where: str) -> str:
    """A key, unless it is too short to be one or cannot be sent in a header; then ConfigError."""
    if len(key) < SHORTEST:
        held = f"the key has {len(key)} characters, and needs {SHORTEST}" if key else "there is no key"
        raise ConfigError(f"{where}: {held}; {MAKE}")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ConfigError(f"{where}: a key is of plain letters, digits and signs, without blanks; {MAKE}")
    return key


class Keys:
    """The key of a server, or none, and the sessions of those who have shown it."""

    def __init__(self, key: str | None = None) -> None:
        self._digest = digest_of(key) if key else None
        self._sessions: dict[bytes, None] = {}
        self._delayed = 0

    @property
    def needed(self) -> bool:
        """Whether the server has a key."""
        return self._digest is not None

    def right(self, candidate: str) -> bool:
        """Whether a text is the key, told in a time that says nothing of how much of it is right."""
        return self._digest is None or hmac.compare_digest(digest_of(candidate), self._digest)

    async def wrong(self) -> None:
        """Answer a wrong key: late, so that few can be tried. Raises Refusal 401, or 429 where many wait already."""
        if self._delayed >= MOST_DELAYED:
            raise Refusal(429, "busy", retry_after=WAIT, seconds=WAIT)
        self._delayed += 1
        try:
            await asyncio.sleep(DELAY)
        finally:
            self._delayed -= 1
        raise Refusal(401, "wrong_key")

    def signed_in(self, scope: Scope) -> bool:
        """Whether a request brings the cookie of a session, or no key is needed."""
        return not self.needed or session_of(scope) in self._sessions

    def begin(self, scope: Scope) -> str:
        """Begin a session of who has shown the key: the header Set-Cookie."""
        token = secrets.token_hex(TOKEN_BYTES)
        self._sessions[digest_of(token)] = None
        if len(self._sessions) > MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        return f"{cookie_name(scope)}={token}; {properties(scope)}"

    def end(self, scope: Scope) -> str:
        """Forget the session that a request brings, if any: the header Set-Cookie that takes the cookie away."""
        self._sessions.pop(session_of(scope), None)
        return f"{cookie_name(scope)}=; Max-Age=0; {properties(scope)}"

    async def check(self, scope: Scope) -> None:
        """Raise Refusal 401 where a request needs the key and does not have it."""
        if not self.needed or scope["path"] in FREE or scope["path"].startswith(FREE_FOLDER):
            return
        scheme, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            if not self.right(key.strip()):
                await self.wrong()
        elif not self.signed_in(scope):
            raise Refusal(401, "needs_key")


def digest_of(text: str) -> bytes:
    """What is compared in place of a secret: how long that takes says nothing of the secret."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def session_of(scope: Scope) -> bytes:
    """The digest of what a request's cookie says, of nothing where there is none."""
    given = cookie_parser("; ".join(Headers(scope=scope).getlist("cookie")))
    return digest_of(given.get(cookie_name(scope), ""))


def cookie_name(scope: Scope) -> str:
    """The cookie's name. Browsers share cookies among the ports of a host, so the port is in it."""
    _, port = scope.get("server") or ("", None)
    return f"ernie_vil2_{port or 0}"


def properties(scope: Scope) -> str:
    """Who may read the cookie, and where it is sent."""
    return "HttpOnly; SameSite=Strict; Path=/" + ("; Secure" if scope["scheme"] == "https" else "")
