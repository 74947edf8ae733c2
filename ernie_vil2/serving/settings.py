"""What a server is told: which indexes, where it listens, who may ask, and how much of everything."""

import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ConfigError
from ..messages import quoted
from ..runtime import cpu_count
from .guard.connections import ConnectionLimits

MIB = 1 << 20
LARGEST_PORT = 65_535
LOCAL_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost")


@dataclass(frozen=True)
class ServerSettings:
    """Checked when it is made: ConfigError says in one sentence what cannot be.

    folder: an index, or a folder of indexes. host, port: where to listen; port 0 is one that the system chooses.
    public: whether other machines may ask without a key. key: what has to be known, "" for none. allowed_hosts: names
    beside its own that the server answers to. model, engine, precision: as in `open_index`. queue: encodings and
    searches that may wait. threads: that search and read files at once; 0 for the cores. cache: folder of thumbnails,
    None for that of the user; cache_bytes: its bound. uploads: vectors of uploads that are remembered.
    text_characters: of a sentence. page_hits: hits of a page. upload_bytes: of an uploaded picture; json_bytes:
    of the body of any other request. grace: seconds that running requests have when the server ends. connections: how
    many, and how slow.
    """

    folder: Path
    host: str = "127.0.0.1"
    port: int = 8765
    public: bool = False
    key: str = field(default="", repr=False)
    allowed_hosts: tuple[str, ...] = ()
    model: str | None = None
    engine: str = "auto"
    precision: str = "fp32"
    queue: int = 64
    threads: int = 0
    cache: Path | None = None
    cache_bytes: int = 512 * MIB
    uploads: int = 1000
    text_characters: int = 2000
    page_hits: int = 200
    upload_bytes: int = 64 * MIB
    json_bytes: int = MIB
    grace: float = 10.0
    connections: ConnectionLimits = ConnectionLimits()

    def __post_init__(self):
        object.__setattr__(self, "folder", Path(os.path.abspath(self.folder)))
        if not 0 <= self.port <= LARGEST_PORT:
            raise ConfigError(f"port is {quoted(self.port, 40)}, but it must be from 0 to {LARGEST_PORT}")
        for name in ("queue", "uploads", "text_characters", "page_hits", "upload_bytes", "json_bytes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {quoted(getattr(self, name), 40)}, but it must be at least 1")
        for name in ("threads", "cache_bytes", "grace"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {quoted(getattr(self, name), 40)}, but it must not be below 0")
        if not self.loopback and not self.key and not self.public:
            raise ConfigError(
                f"host {quoted(self.host, 80)} can be reached from other machines, so a key is needed; give --key-file "
                "FILE or the environment's ERNIE_VIL2_KEY, or say with --public that everybody may search"
            )

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() in LOCAL_NAMES

    @property
    def shows_paths(self) -> bool:
        """Whether answers name places of this machine: only where who asks is on it, too."""
        return self.loopback and not self.public

    @property
    def body_bytes(self) -> int:
        """Of the body of an upload, with what a form has around the picture."""
        return self.upload_bytes + MIB

    @property
    def workers(self) -> int:
        """Threads that search, and as many that read files."""
        return self.threads or cpu_count()
