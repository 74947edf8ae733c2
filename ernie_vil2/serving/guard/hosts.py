"""Whom a request asks: this server by its address or by a name of its own.

A page of elsewhere can have its own name stand for the address of this machine, and then a browser takes the server
for that page's origin (DNS rebinding). The name in the header Host gives it away.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.types import Scope

from ...messages import brief
from ..refusals import Refusal

HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[\w.-]{1,253})(?::(\d{1,5}))?", re.ASCII)
LOCAL = "localhost"


class Hosts:
    """The names that a server goes by: addresses, localhost, the machine's own names, and those that are given."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        machine = socket.gethostname()
        own = {LOCAL, machine, f"{machine.partition('.')[0]}.local"}
        self.names = frozenset(bare(name) for name in (*own, *names))

    def known(self, host: str) -> bool:
        """Whether the value of a header Host names this server."""
        parts = split(host)
        return parts is not None and (parts[0] in self.names or is_address(parts[0]))

    def check(self, scope: Scope) -> None:
        """Raise Refusal 421 unless a request has one header Host, of a name of this server."""
        hosts = Headers(scope=scope).getlist("host")
        if len(hosts) != 1 or not self.known(hosts[0]):
            raise Refusal(421, "wrong_host", host=brief(hosts[0], 80) if hosts else "")


def bare(name: str) -> str:
    """A name without what makes no difference: capitals, a last dot, brackets around an address."""
    return name.strip().lower().removesuffix(".").strip("[]")


def split(host: str) -> tuple[str, int | None] | None:
    """Name and port of a header Host; None where it is none."""
    found = HOST.fullmatch(host)
    if found is None:
        return None
    return bare(found[1]), int(found[2]) if found[2] else None


def is_address(name: str) -> bool:
    """Whether a name is an IP address as it is usually written: no name server is asked for it."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
