"""What a launcher has set for this process: how many ranks there are, which of them it is, and where they meet.

The variables outlive a job where a shell exports them, so nothing in them is taken on trust.
"""

import os
from dataclasses import dataclass

from ...errors import ConfigError, UserError, cause_of
from ...files.json_files import read_json
from ...messages import brief

COUNT, RANK, ENDPOINTS = "PADDLE_TRAINERS_NUM", "PADDLE_TRAINER_ID", "PADDLE_TRAINER_ENDPOINTS"
CURRENT, MASTER, BACKUP = "PADDLE_CURRENT_ENDPOINT", "PADDLE_MASTER", "PADDLE_BACKUP_ENV_PATH"
OTHERS = ("MASTER_ADDR", "MASTER_PORT", "PADDLE_DISTRI_BACKEND", "PADDLE_PG_TIMEOUT")
VARIABLES = (COUNT, RANK, ENDPOINTS, CURRENT, MASTER, BACKUP, *OTHERS)
"""What Paddle joins processes by: its launchers set the first five, and the sixth where a job is large"""
NUMBERS = ("PADDLE_PG_TIMEOUT", "FLAGS_stop_check_timeout", "FLAGS_nccl_nrings")
"""Further ones that Paddle takes for whole numbers as it joins"""
MOST_RANKS = 1_000_000


@dataclass(frozen=True)
class Launch:
    """Rank `rank` of `size`, which meet at `host`:`port`, where rank 0 listens; 0 of 1 is a process by itself."""

    rank: int = 0
    size: int = 1
    host: str = ""
    port: int = 0


def read_launch() -> Launch:
    """What the environment says of this process; ConfigError where the variables contradict each other."""
    if not os.environ.get(COUNT, "").strip():
        return Launch()
    size = _number(COUNT, 1, MOST_RANKS)
    if size == 1:
        return Launch()
    rank = _number(RANK, 0, MOST_RANKS)
    if rank >= size:
        raise _stale(f"{RANK} is {rank}, but {COUNT} is {size}, whose last rank is {size - 1}")
    for name in NUMBERS:
        if name in os.environ:
            _number(name, 0, 10**9)
    endpoints, current = _endpoints(), os.environ.get(CURRENT, "")
    if endpoints and len(endpoints) != size:
        raise _stale(f"{ENDPOINTS} lists {len(endpoints)} of them, but {COUNT} is {size}")
    _address(CURRENT, current)
    if endpoints and current not in endpoints:
        raise _stale(f"{CURRENT} is {current!r}, which is not in {ENDPOINTS}")
    if os.environ.get("MASTER_ADDR") and os.environ.get("MASTER_PORT"):
        _address("MASTER_ADDR:MASTER_PORT", f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}")
    if MASTER in os.environ:
        return Launch(rank, size, *_address(MASTER, os.environ[MASTER]))
    if not endpoints:
        raise _stale(f"{COUNT} is {size}, but neither {MASTER} nor {ENDPOINTS} says where they meet")
    return Launch(rank, size, *_address(ENDPOINTS, endpoints[0]))


def way_out() -> str:
    """What to do where nobody started the others, as a clause that names the variables that are set."""
    names = " ".join(name for name in VARIABLES if name in os.environ)
    return (
        "processes are started together, by python -m paddle.distributed.launch; where the variables are left from "
        f"another job, clear them with: unset {names}"
    )


def plain_environment() -> dict[str, str]:
    """The environment without a launcher's variables, for processes that are no ranks of its job."""
    return {name: value for name, value in os.environ.items() if name not in VARIABLES}


def _stale(what: str) -> ConfigError:
    return ConfigError(f"{brief(what, 200)}; {way_out()}")


def _number(name: str, least: int, most: int) -> int:
    text = os.environ.get(name)
    if text is None:
        raise _stale(f"{COUNT} is {os.environ.get(COUNT)}, but {name} is not set")
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20 and least <= int(digits) <= most):
        raise _stale(f"{name} is {brief(text, 60)!r}, but must be a whole number from {least} to {most}")
    return int(digits)


def _address(name: str, text: str) -> tuple[str, int]:
    """(host, port) of "host:port"."""
    host, _, port = text.strip().partition(":")
    if not (host and port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536):
        raise _stale(f"{name} is {brief(text, 60)!r}, but must be host:port, as 127.0.0.1:6170")
    return host, int(port)


def _endpoints() -> list[str]:
    """Addresses of all ranks; of a large job from the file that its launcher wrote, since they fit no variable."""
    text = os.environ.get(ENDPOINTS)
    if text is None and BACKUP in os.environ:
        try:
            text = read_json(os.environ[BACKUP]).get(ENDPOINTS)
        except (OSError, UserError, AttributeError) as error:
            raise _stale(f"{BACKUP} is {brief(os.environ[BACKUP], 80)!r} ({cause_of(error)})") from None
    return [part.strip() for part in str(text or "").split(",") if part.strip()]
