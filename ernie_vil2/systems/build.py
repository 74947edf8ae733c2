"""The one way that a system is made: for the trainer, the doctor, the benchmarks and the studies alike."""

from ..config.run import RunConfig
from .registry import system_class
from .system import System


def build(config: RunConfig) -> System:
    """The system that a configuration describes, with random weights by its seed; ConfigError for wrong settings."""
    return system_class(config.model.system).create(config)
