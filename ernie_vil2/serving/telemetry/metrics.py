"""What a server counts and times, for Prometheus. Labels are its own routes, codes and names, never what was asked."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0
BATCHES = 1, 2, 4, 8, 16, 32
METHODS = frozenset(("GET", "HEAD", "POST", "DELETE"))
OTHER = "other"
"""Any other method, and any path that no route answers: who asks must not make up labels"""


class IndexRows:
    """Collects how much each index holds, of those that there are when somebody reads it.

    counts: (name, pictures, texts) of each.
    """

    def __init__(self, counts: Callable[[], Iterable[tuple[str, int, int]]]) -> None:
        self.counts = counts

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The one metric."""
        told = "Pictures and texts of an index"
        family = GaugeMetricFamily("ernie_vil2_index_rows", told, labels=("index", "kind"))
        for name, pictures, texts in self.counts():
            family.add_metric((name, "pictures"), pictures)
            family.add_metric((name, "texts"), texts)
        yield family


class Metrics:
    """The metrics of one server, in a registry of its own. A gauge is asked for when somebody reads them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = self._counter("requests", "Requests that were answered", "route", "method", "status")
        self._seconds = Histogram(
            "ernie_vil2_request_seconds",
            "Seconds from a request to the end of its answer",
            ["route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._running = self._gauge("running_requests", "Requests that are worked on")
        self._refusals = self._counter("refusals", "Requests that were refused, by code", "code")
        self._sent = self._counter("sent_bytes", "Bytes of answers", "route")
        self._batches = Histogram(
            "ernie_vil2_encode_batch_size",
            "Texts or pictures that were encoded at once",
            ["side"],
            buckets=BATCHES,
            registry=self.registry,
        )
        self._cache = self._counter("cache_lookups", "What was looked for in a cache", "cache", "found")
        self._waiting = self._gauge("waiting", "What waits for its turn", "queue")
        self._uploads = self._gauge("remembered_uploads", "Uploads that may be searched with")
        self._bodies = self._gauge("body_bytes", "Bytes of bodies that are read or worked on")
        self._connections = self._gauge("connections", "Open connections")

    def _counter(self, name: str, told: str, *labels: str) -> Counter:
        return Counter(f"ernie_vil2_{name}", told, labels, registry=self.registry)

    def _gauge(self, name: str, told: str, *labels: str) -> Gauge:
        return Gauge(f"ernie_vil2_{name}", told, labels, registry=self.registry)

    def began(self) -> None:
        """A request came."""
        self._running.inc()

    def answered(self, route: str | None, method: str, status: int, seconds: float, sent: int) -> None:
        """A request was answered. route: its template; None where it has none."""
        route = route or OTHER
        self._running.dec()
        self._requests.labels(route, method if method in METHODS else OTHER, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        self._sent.labels(route).inc(sent)

    def refused(self, code: str) -> None:
        """A request was refused."""
        self._refusals.labels(code).inc()

    def batch(self, side: str, size: int) -> None:
        """Texts or pictures were encoded. side: text or image."""
        self._batches.labels(side).observe(size)

    def cache(self, name: str, hit: bool) -> None:
        """Something was looked for in a cache."""
        self._cache.labels(name, "yes" if hit else "no").inc()

    def waiting(self, queue: str, count: Callable[[], float]) -> None:
        """How much waits in a queue."""
        self._waiting.labels(queue).set_function(count)

    def rows(self, counts: Callable[[], Iterable[tuple[str, int, int]]]) -> None:
        """How much the indexes hold: (name, pictures, texts) of each."""
        self.registry.register(IndexRows(counts))

    def uploads(self, count: Callable[[], float]) -> None:
        """How many uploads are remembered."""
        self._uploads.set_function(count)

    def body_bytes(self, count: Callable[[], float]) -> None:
        """How much memory bodies take."""
        self._bodies.set_function(count)

    def connections(self, count: Callable[[], float]) -> None:
        """How many connections are open."""
        self._connections.set_function(count)

    def text(self) -> bytes:
        """All of them, in CONTENT_TYPE."""
        return generate_latest(self.registry)
