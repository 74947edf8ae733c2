"""What a runtime is to the export: whether it takes a model, how its files are written, and what they compute."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from ..config.model import ModelConfig
from ..inference.engines.engine import Run
from ..inference.model import Model

PROJECT = __name__.partition(".")[0]
CLIENT, REQUIREMENTS = "client.py", "requirements.txt"
"""A program that needs nothing of this project, and what it imports"""


class Target(ABC):
    """A form of a model that another runtime reads.

    name: what `--to` is given. exact_client: whether its client reads pictures and texts as this project does, so that
    an embedding of its own that differs is an error; where it is not, the difference is only told. does_without:
    modules that its client must not need. distributions: the packages without which it is neither written nor run.
    """

    name: ClassVar[str]
    distributions: ClassVar[tuple[str, ...]] = ()
    exact_client: ClassVar[bool] = True
    does_without: ClassVar[tuple[str, ...]] = (PROJECT, "paddle")

    @abstractmethod
    def check(self, config: ModelConfig) -> None:
        """Raise UserError in one sentence for a model that has no such form, and where a library is not installed;
        nothing was read of the weights yet."""

    @abstractmethod
    def write(self, model: Model, folder: Path) -> list[str]:
        """Write the files of both towers, the client and its requirements into a folder; notes for people, which
        export.json keeps too."""

    @abstractmethod
    def parts(self, model: Model) -> dict[str, dict[str, Any]]:
        """{"image": ..., "text": ...}: what export.json says of the files of a tower and of what they take, beside
        pixels and tokens."""

    @abstractmethod
    def runs(self, model: Model, folder: Path) -> Mapping[str, Run]:
        """{"image": run, "text": run} of the written files, by the target's own runtime in fp32."""
