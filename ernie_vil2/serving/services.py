"""What handlers of requests share: settings, indexes, models, threads."""

from functools import partial
from typing import Annotated

from fastapi import Depends, Request

from .catalog.catalog import Catalog
from .encoding.encoders import Encoders
from .encoding.uploads import Uploads
from .guard.body_limit import ENVELOPE, BodyLimits
from .guard.hosts import Hosts
from .guard.keys import Keys
from .guard.stack import Guarding
from .media.downloads.exports import Exports
from .media.duplicate_jobs import DuplicateJobs
from .media.row_pictures import RowPictures
from .media.thumbnail_cache import ThumbnailCache, thumbnail_folder
from .media.thumbnails import Thumbnails
from .pools import Pool
from .settings import ServerSettings
from .telemetry.log import Log
from .telemetry.metrics import Metrics

BODIES = 4
"""Of the largest, which are held in memory at the same time"""


class Services:
    """All that a server has. Made once for an application; `start` and `stop` block."""

    def __init__(self, settings: ServerSettings):
        self.settings = settings
        self.metrics, self.log, self.keys = Metrics(), Log(), Keys(settings.key or None)
        hosts = Hosts((settings.host, *settings.allowed_hosts))
        bodies = BodyLimits(settings.upload_bytes + ENVELOPE, settings.json_bytes, BODIES * settings.upload_bytes)
        self.guarding = Guarding(self.keys, hosts, bodies, self.metrics, self.log)
        self.searching = Pool("search", settings.workers, settings.queue)
        self.working = Pool("work", settings.workers, settings.queue)
        self.encoders = Encoders(settings, self.working, self.metrics.batch)
        self.uploads = Uploads(settings.uploads)
        self.catalog = Catalog(settings, self.encoders.prepare)
        self.pictures = RowPictures()
        cache = ThumbnailCache(thumbnail_folder(settings.cache), settings.cache_bytes)
        self.drawing = Pool("thumbnail", settings.workers, settings.connections.open)
        self.thumbnails = Thumbnails(self.pictures, cache, self.drawing, partial(self.metrics.cache, "thumbnails"))
        self.exports, self.jobs = Exports(), DuplicateJobs()
        self.waiting_for = "the indexes are being opened"
        self._measure()

    def _measure(self) -> None:
        """What the metrics ask for when somebody reads them."""
        self.metrics.waiting("search", lambda: self.searching.held)
        self.metrics.waiting("work", lambda: self.working.held)
        self.metrics.waiting("thumbnail", lambda: self.drawing.held)
        for side in ("text", "image"):
            self.metrics.waiting(side, partial(self.encoders.waiting, side))
        self.metrics.uploads(lambda: len(self.uploads))
        self.metrics.rows(self.catalog.counts)

    def start(self) -> None:
        """Open the indexes and load their models. `waiting_for` says until then what a request would wait for."""
        self.catalog.start()
        self.waiting_for = ""

    def stop(self) -> None:
        """End threads."""
        self.catalog.stop()
        self.encoders.stop()
        self.jobs.stop(self.settings.grace)
        self.searching.stop()
        self.working.stop()
        self.drawing.stop()


async def services(request: Request) -> Services:
    """The Services of the application that a request is for; a coroutine, since others are called in a thread."""
    return request.app.state.services


Given = Annotated[Services, Depends(services)]
"""A handler's parameter of Services"""
