"""Where a server listens: a socket that is bound before anything slow is done, or one sentence why there is none."""

import errno
import socket

from ..errors import ConfigError, advice
from ..messages import quoted
from .settings import LARGEST_PORT

WAITING = 128
"""Connections that the system keeps until they are taken up"""
TRIED = 20
"""Ports behind the one that was asked for which are tried"""


class PortInUse(ConfigError):
    """Another program listens at the port."""


def bound_socket(host: str, port: int, or_next: bool = False) -> socket.socket:
    """A socket that listens at a host's address. or_next: take the next free port where another program has this one.

    ConfigError says in one sentence why there is none.
    """
    last = min(port + TRIED, LARGEST_PORT) if or_next and port else port
    for tried in range(port, last):
        try:
            return listening(host, tried)
        except PortInUse:
            continue
    return listening(host, last)


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens at this address and no other; ConfigError, PortInUse where another program does."""
    where = f"host {quoted(host, 80)}, port {port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise ConfigError(
            f"host {quoted(host, 80)} is not known here; give a name or an address of this machine"
        ) from None
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(WAITING)
    except OSError as error:
        bound.close()
        kind_of_error = PortInUse if error.errno == errno.EADDRINUSE else ConfigError
        raise kind_of_error(f"{where}: {unbound(error)}") from None
    return bound


def unbound(error: OSError) -> str:
    """Why an address cannot be listened at, and what to do."""
    return {
        errno.EADDRINUSE: "another program listens there; end it, or choose another --port (0: one that is free)",
        errno.EACCES: "ports below 1024 need rights of the administrator; choose another --port",
        errno.EADDRNOTAVAIL: "this machine has no such address; choose another --host",
    }.get(error.errno, f"{error.strerror or error}; {advice(error, 'choose another host or port')}")


def address_of(bound: socket.socket) -> str:
    """What a browser on this machine calls a server that listens at a socket."""
    host, port = bound.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{host}:{port}/"
