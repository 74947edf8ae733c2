"""What every request goes through before a route sees it, in this order."""

from dataclasses import dataclass, field

from starlette.middleware import Middleware

from ..telemetry.log import Log
from ..telemetry.metrics import Metrics
from ..telemetry.requests import Requests
from .answers import Answers
from .body_limit import BodyLimit, BodyLimits
from .checks import Checks
from .headers import AnswerHeaders
from .hosts import Hosts
from .keys import Keys
from .origins import check_origin
from .plain_bodies import PlainBodies
from .request_line import check_request_line


@dataclass(frozen=True)
class Guarding:
    """What the guards of one server need to know."""

    keys: Keys = field(default_factory=Keys)
    hosts: Hosts = field(default_factory=Hosts)
    bodies: BodyLimits = BodyLimits()
    metrics: Metrics = field(default_factory=Metrics)
    log: Log = field(default_factory=Log)


def stack(guarding: Guarding) -> list[Middleware]:
    """The middleware of an application, outermost first."""
    checks = check_request_line, guarding.hosts.check, check_origin, guarding.keys.check
    return [
        Middleware(Requests, guarding.metrics, guarding.log),
        Middleware(AnswerHeaders),
        Middleware(Answers, guarding.metrics, guarding.log),
        Middleware(Checks, checks),
        Middleware(BodyLimit, guarding.bodies, guarding.metrics),
        Middleware(PlainBodies),
    ]
