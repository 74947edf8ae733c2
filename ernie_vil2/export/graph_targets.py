"""Targets of a graph a tower: any number of items and any length, written from what the network calls."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..config.model import ModelConfig
from ..errors import CheckpointError, ConfigError, UserError
from ..inference.engines.cache import refusal_behind
from ..inference.engines.engine import Engine, Run
from ..inference.model import Model
from ..messages import brief
from ..versions import installed_version
from . import onnx_graph
from .client_program import ONNX_RUNTIME, OPENVINO, PADDLE_INFERENCE, Runtime, write_client
from .target import PROJECT, Target


class GraphTarget(Target):
    """A runtime that reads a graph for each tower, from files named `image` and `text`.

    endings: of the files of a graph. install: what to give pip for the distributions. runtime: what its client
    computes with.
    """

    endings: ClassVar[tuple[str, ...]]
    install: ClassVar[str] = ""
    runtime: ClassVar[Runtime]

    def check(self, config: ModelConfig) -> None:
        """ConfigError where a package is not installed."""
        for distribution in self.distributions:
            if not installed_version(distribution):
                raise ConfigError(
                    f"--to {self.name} needs {distribution}, which is not installed; install it with: "
                    f"pip install {self.install}"
                )

    @abstractmethod
    def write_graph(self, network: Any, kind: str, most_boxes: int, folder: Path) -> None:
        """Write the files of a tower, weights in fp32; raises anything where the tower has no graph."""

    @abstractmethod
    def run_of(self, folder: Path, kind: str, boxed: bool) -> Run:
        """The Run of a tower that was written into a folder."""

    def write(self, model: Model, folder: Path) -> list[str]:
        """Write the graphs of both towers, and a client of them."""
        for kind in model.config.towers():
            try:
                self.write_graph(model.network, kind, boxes_of(model, kind), folder)
            except (UserError, OSError):
                raise
            except Exception as error:  # a library's own, of any class
                if reason := refusal_behind(error, folder):
                    raise CheckpointError(
                        f"cannot write the {kind} tower for {self.name}: {reason}; free some space or choose another "
                        "place (nothing was left)"
                    ) from error
                reason = brief(str(error) or type(error).__name__, 200)
                raise CheckpointError(
                    f"the {kind} tower has no graph for {self.name}, {reason}; choose another --to"
                ) from error
        write_client(folder, self.runtime, model.config.pixels, model.most_boxes > 0)
        return []

    def parts(self, model: Model) -> dict[str, dict[str, Any]]:
        """Files, inputs and output of each tower."""
        return {
            kind: {
                "files": [f"{kind}{ending}" for ending in self.endings],
                "inputs": inputs_of(model, kind),
                "output": {"dtype": "float32", "shape": ["batch", model.embed_dim]},
            }
            for kind in model.config.towers()
        }

    def runs(self, model: Model, folder: Path) -> Mapping[str, Run]:
        """The Run of each tower, on one copy of its weights."""
        return {kind: self.run_of(folder, kind, boxes_of(model, kind) > 0) for kind in model.config.towers()}


class PaddleTarget(GraphTarget):
    """Paddle Inference: `paddle.jit.save` of a tower; this project runs on Paddle, so that nothing is lacking."""

    name, endings, runtime = "paddle", (".json", ".pdiparams"), PADDLE_INFERENCE
    does_without = (PROJECT,)

    def write_graph(self, network: Any, kind: str, most_boxes: int, folder: Path) -> None:
        from ..inference.engines.paddle_inference import write_graph

        write_graph(network, kind, most_boxes, folder, kind)

    def run_of(self, folder: Path, kind: str, boxed: bool) -> Run:
        from ..inference.engines.paddle_inference import PaddleInferenceEngine

        return run_alone(PaddleInferenceEngine(folder, "fp32", boxed, kind))


class OpenVinoTarget(GraphTarget):
    """OpenVINO's own files, without a way through ONNX."""

    name, endings, runtime = "openvino", (".xml", ".bin"), OPENVINO
    distributions, install = OPENVINO.distributions, OPENVINO.distributions[0]

    def write_graph(self, network: Any, kind: str, most_boxes: int, folder: Path) -> None:
        from ..inference.engines.openvino_engine import write_graph

        write_graph(network, kind, most_boxes, folder, f"{kind}.xml")

    def run_of(self, folder: Path, kind: str, boxed: bool) -> Run:
        from ..inference.engines.openvino_engine import OpenVinoEngine

        return run_alone(OpenVinoEngine(folder, "fp32", boxed, f"{kind}.xml"))


class OnnxTarget(GraphTarget):
    """ONNX files, which many runtimes read; here ONNX Runtime tries them."""

    name, endings, runtime = "onnx", (".onnx",), ONNX_RUNTIME
    distributions = ("paddle2onnx", "onnx", *ONNX_RUNTIME.distributions)
    install = "--no-deps -r requirements-export.txt"

    def check(self, config: ModelConfig) -> None:
        """ConfigError where a package is not installed, or a tower is too large for a file."""
        super().check(config)
        onnx_graph.check_size(config)

    def write_graph(self, network: Any, kind: str, most_boxes: int, folder: Path) -> None:
        onnx_graph.write_graph(network, kind, most_boxes, folder / f"{kind}.onnx")

    def run_of(self, folder: Path, kind: str, boxed: bool) -> Run:
        return onnx_graph.onnx_run(folder / f"{kind}.onnx")


def run_alone(engine: Engine) -> Run:
    """An engine that runs a batch at a time on all cores."""

    def run(*arrays: np.ndarray) -> np.ndarray:
        with engine.session(1) as session:
            return session.run(*arrays)

    return run


def boxes_of(model: Model, kind: str) -> int:
    """How many boxes beside the whole image a tower takes."""
    return model.most_boxes if kind == "image" else 0


def inputs_of(model: Model, kind: str) -> list[dict[str, Any]]:
    """[{"name", "dtype", "shape"}] of what a tower's graph takes, in order; an open size is a word."""
    from ..inference.engines.tracing import input_specs

    opened = ("batch", "length")
    return [
        {
            "name": spec.name,
            "dtype": str(spec.dtype).rpartition(".")[2].lower(),
            "shape": [opened[axis] if size == -1 else size for axis, size in enumerate(spec.shape)],
        }
        for spec in input_specs(model.config, kind, boxes_of(model, kind))
    ]
