"""The engines of a model: which one each tower has, made when it is first needed."""

import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ...config.model import ModelConfig
from ...device import current_device
from ...errors import ConfigError, UserError
from ...messages import brief
from ...plugins import code_digest
from ...threads import forked
from .cache import EngineCache
from .choice import AUTO, DYNAMIC, OPENVINO, Choice, beside_int8, choose, told
from .dynamic import DynamicEngine
from .engine import Engine
from .int8_record import read_record
from .self_test import check_engine

if TYPE_CHECKING:
    import paddle

GRAPHS = "1"
"""Version of what a network becomes; part of what an engine is known by"""
VARIABLE = "ERNIE_VIL2_ENGINE"
LOG = logging.getLogger("ernie_vil2")


@dataclass
class Plan:
    """What each tower of a model runs on: {"image" or "text": Choice}; cache: where graphs are kept; quantised: {tower:
    folder of its int8 graph}; most_boxes: how many boxes an image has beside the whole."""

    choices: dict[str, Choice]
    cache: EngineCache | None = None
    quantised: Mapping[str, Path] = field(default_factory=dict)
    most_boxes: int = 0


def plan_engines(
    config: ModelConfig, path: str | os.PathLike, engine: str = AUTO, precision: str = "fp32", most_boxes: int = 0
) -> Plan:
    """The Plan of the model at a path for this process's device, before it is built.

    engine and precision: as in `choose`; "auto" is what the environment's ERNIE_VIL2_ENGINE says, if it says something.
    Raises ConfigError for what cannot be, and CheckpointError for a quantised graph of another model.
    """
    engine = (os.environ.get(VARIABLE) or AUTO) if engine == AUTO else engine
    device = current_device()
    dynamic = choose(engine, "fp32", device).engine == DYNAMIC
    cache = None if dynamic else EngineCache(path)  # which reads all of a file to know it
    quantised = quantised_towers(cache, config, most_boxes) if precision == "int8" and cache is not None else {}
    others = beside_int8() if quantised else precision
    choices = {
        kind: choose(engine, "int8" if kind in quantised else others, device, quantised=kind in quantised)
        for kind in config.towers()
    }
    return Plan(choices, cache, quantised, most_boxes)


def quantised_towers(cache: EngineCache, config: ModelConfig, most_boxes: int) -> dict[str, Path]:
    """{tower: folder of its int8 graph} of those that have one; ConfigError where int8 costs all of them too much."""
    found = {kind: cache.read(*named(cache, config, kind, "int8", most_boxes)) for kind in config.towers()}
    records = {kind: read_record(folder) for kind, folder in found.items() if folder is not None}
    quantised = {kind: found[kind] for kind, record in records.items() if record.precision == "int8"}
    if records and not quantised:
        costs = ", ".join(f"{record.cost:.1f} for the {kind} tower" for kind, record in records.items())
        raise ConfigError(
            f"the model was quantized and int8 cost it too many points of R@1 ({costs}); give another precision, or "
            "quantize it with --keep"
        )
    return quantised


def named(
    cache: EngineCache, config: ModelConfig, kind: str, graph: str, most_boxes: int
) -> tuple[str, dict[str, str]]:
    """The name of a tower's graph in the cache, and what it depends on, with the code of a user's own modules."""
    code = code_digest("tower", config.towers()[kind].kind) + code_digest("system", config.system)
    return f"{kind}-{graph}", cache.facts(graphs=GRAPHS, boxes=str(most_boxes), **({"code": code} if code else {}))


class TowerEngines:
    """The engine of each tower of a network, by a Plan; without one all run in Paddle's dynamic mode.

    So does a tower whose graph the engine does not take, or takes for another one, which a warning says.
    """

    def __init__(self, network: "paddle.nn.Layer", plan: Plan | None = None):
        self.network = network
        self.plan = plan or Plan({kind: Choice(DYNAMIC, "fp32", "", None) for kind in network.config.towers()})
        self.choices = dict(self.plan.choices)
        self._made: dict[str, Engine] = {}
        self._dynamic = {kind: DynamicEngine(network, kind) for kind in self.choices}
        self._lock, self._process = threading.Lock(), os.getpid()

    @property
    def precisions(self) -> dict[str, str]:
        """{"image" or "text": fp32, bf16 or int8}."""
        return {kind: choice.precision for kind, choice in self.choices.items()}

    @property
    def record(self) -> dict[str, str]:
        """{"image" or "text": engine, version and precision}, for results."""
        return {
            kind: " ".join(filter(None, (choice.engine, choice.version, choice.precision)))
            for kind, choice in self.choices.items()
        }

    def make(self, *kinds: str) -> None:
        """Make the engines of these towers, by default of all, so that `record` and `told` say what they are."""
        for kind in kinds or self.choices:
            self.of(kind)

    def told(self, *kinds: str) -> str:
        """The choice in a line, of these towers or of all."""
        return told({kind: self.choices[kind] for kind in kinds or self.choices})

    def of(self, kind: str) -> Engine:
        """The engine of a tower. In a process that was forked from the one that it was made in it is Paddle's dynamic
        mode: the threads of the others are gone there."""
        if self.choices[kind].engine == DYNAMIC or forked() or os.getpid() != self._process:
            return self._dynamic[kind]
        with self._lock:
            if kind not in self._made:
                try:
                    self._made[kind] = self._make(kind)
                except UserError:
                    raise
                except Exception as error:
                    reason = brief(str(error) or type(error).__name__, 200)
                    LOG.warning("%s", f"the {kind} tower runs on {DYNAMIC}, for its graph cannot be built: {reason}")
                    self._made[kind] = self._dynamic[kind]
                    self.choices[kind] = Choice(DYNAMIC, "fp32", f"for its graph cannot be built: {reason}", None)
            return self._made[kind]

    def _make(self, kind: str) -> Engine:
        choice, most_boxes = self.choices[kind], self.plan.most_boxes if kind == "image" else 0
        if choice.engine == OPENVINO:
            from .openvino_engine import OpenVinoEngine as EngineOf
            from .openvino_engine import write_graph
        else:
            from .paddle_inference import PaddleInferenceEngine as EngineOf
            from .paddle_inference import write_graph

        def build(folder: Path) -> None:
            write_graph(self.network, kind, most_boxes, folder)
            with EngineOf(folder, "fp32", most_boxes > 0).session(1) as made, self._dynamic[kind].session(1) as own:
                check_engine(self.network.config, kind, made.run, own.run, most_boxes)

        if choice.precision == "int8":
            return EngineOf(self.plan.quantised[kind], beside_int8(), most_boxes > 0)
        name, facts = named(self.plan.cache, self.network.config, kind, choice.engine, self.plan.most_boxes)
        return EngineOf(self.plan.cache.entry(name, facts, build), choice.precision, most_boxes > 0)
