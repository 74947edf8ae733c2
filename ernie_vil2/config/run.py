"""Configuration of a run: dataclasses with a docstring per field, checked before any model is built."""

import typing
from dataclasses import dataclass

from ..errors import ConfigError, nearest
from ..messages import quoted
from ..schema import document
from .data import DataConfig
from .locking import check_cache
from .losses import check_loss
from .model import ModelConfig
from .optimizer import MAX_DECAY, MAX_STEPS, OptimizerConfig
from .tower_fields import MAX_WIDTH

CONSOLES = ("short", "full")
IMAGE_VIEWS = ("image", "image'")
TEXT_VIEWS = ("caption", "caption'", "tags", "tags'")
VIEWS = (*IMAGE_VIEWS, *TEXT_VIEWS)
MAX_BATCH, MAX_SEED = 1 << 24, (1 << 64) - 1
MAX_WEIGHT = 1e6
MIN_TEMPERATURE = 0.01
"""Where the logit scale is clamped, at 100"""


@dataclass
class BatchNegatives:
    """Negatives are the other samples of the global batch."""

    kind: str = document("batch", "batch: every other sample of the global batch", choices=("batch",))


@dataclass
class QueueNegatives:
    """Negatives are keys of earlier batches, of a copy of the model that follows it (MoCo, arXiv 1911.05722)."""

    kind: str = document("queue", "queue: keys of earlier batches, of a momentum copy of the model", choices=("queue",))
    size: int = document(9600, "keys of every view that are kept", minimum=1, maximum=MAX_BATCH)
    momentum: float = document(
        0.99, "weight of the copy in its update, the model's is 1 less that", fraction=True, maximum=MAX_DECAY
    )
    statistics: str = document(
        "own",
        "running statistics of the copy's batch norms; own: moved by what it encodes alone; copied: the model's",
        choices=("own", "copied"),
    )


Negatives = BatchNegatives | QueueNegatives
"""What samples are told apart from; a union by `kind`, as towers are"""


@dataclass
class ObjectiveConfig:
    """Which pairs of views are pulled together, and against what."""

    pairs: list[typing.Any] = document(
        lambda: [["image", "caption", 1.0]],
        "list of [view, view, weight]; views: image, image', caption, caption', tags, tags'",
    )
    loss: str = document(
        "infonce",
        "infonce: symmetric cross entropy; sigmoid: every pair of samples by itself (SigLIP, arXiv 2303.15343)",
    )
    settings: dict[str, typing.Any] = document(dict, "what a loss of your own needs, see extending.md")
    negatives: Negatives = document(BatchNegatives, "what samples are told apart from: a kind, or a mapping with one")
    positives: str = document(
        "by_id",
        "by_id: same image id or same text counts as a positive; one: only the sample itself",
        choices=("by_id", "one"),
    )
    temperature: float | None = document(
        None,
        "null: learnable, from the release's 0.07 on; a number: fixed, for every pair",
        minimum=MIN_TEMPERATURE,
        maximum=1.0,
    )
    tag_language: str = document("zh", "language of the tag prompt", choices=("zh", "en"))
    second_caption: str = document(
        "another",
        "caption' is another one of the image where there is one; same: always the same one, which dropout alone tells "
        "apart (SimCSE, arXiv 2104.08821)",
        choices=("another", "same"),
    )

    def __post_init__(self):
        if not self.pairs:
            raise ConfigError("objective.pairs is empty; give at least [image, caption, 1.0]")
        seen = set()
        for pair in self.pairs:
            if not isinstance(pair, (list, tuple)) or len(pair) not in (2, 3):
                raise ConfigError(f"objective.pairs holds {quoted(pair)}; each entry is [view, view, weight]")
            for view in pair[:2]:
                if view not in VIEWS:
                    close = nearest(view, VIEWS) or VIEWS[0]
                    raise ConfigError(f"objective.pairs: unknown view {quoted(view)}; did you mean {close!r}?")
            weight = pair[2] if len(pair) == 3 else 1.0
            number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
            if not number or not 1 / MAX_WEIGHT <= weight <= MAX_WEIGHT:
                raise ConfigError(
                    f"objective.pairs: weight {quoted(weight)} of {pair[0]}-{pair[1]} must be a number "
                    f"above 0, from {1 / MAX_WEIGHT:g} to {MAX_WEIGHT:g}; leave the pair out instead of 0"
                )
            if pair[0] == pair[1]:
                raise ConfigError(
                    f"objective.pairs: {pair[0]}-{pair[1]} pairs a view with itself; the second view is {pair[0]}'"
                )
            if frozenset(pair[:2]) in seen:
                raise ConfigError(f"objective.pairs: {pair[0]}-{pair[1]} is listed twice; add up its weights")
            seen.add(frozenset(pair[:2]))
        check_loss(self.loss, self.settings, self.negatives.kind)

    def views(self) -> set[str]:
        """The views that the pairs hold."""
        return {view for pair in self.pairs for view in pair[:2]}

    def weighted_pairs(self) -> list[tuple[str, str, float]]:
        """[(view, view, weight)] with the weight filled in."""
        return [(pair[0], pair[1], float(pair[2]) if len(pair) == 3 else 1.0) for pair in self.pairs]


@dataclass
class TrainConfig:
    """The loop."""

    steps: int = document(1000, "optimizer steps", minimum=1, maximum=MAX_STEPS)
    batch_size: int = document(128, "pairs of a global batch, over all ranks", minimum=2, maximum=MAX_BATCH)
    micro_batch: int = document(
        0, "pairs of a rank in one pass (gradient cache); 0: a rank's whole share at once", minimum=0, maximum=MAX_BATCH
    )
    precision: str = document("fp32", "fp32, or bf16 or fp16 on a GPU", choices=("fp32", "bf16", "fp16"))
    amp_level: str = document(
        "O1", "O1: weights in fp32; O2: weights in bf16 with fp32 masters, refused with fp16", choices=("O1", "O2")
    )
    recompute: bool = document(False, "activations of a block are computed again in the backward pass: less memory")
    sharding: int = document(
        0, "0: none; 1: optimizer state divided over ranks; 2: gradients too; 3: parameters too", choices=(0, 1, 2, 3)
    )
    ema: float = document(
        0.0, "decay of an average of the weights that is evaluated and saved; 0: none", fraction=True, maximum=MAX_DECAY
    )
    spike: float = document(
        0.0, "stop when the loss is over this factor times the median of the last 100; 0: never", minimum=0, maximum=1e6
    )
    log_every: int = document(10, "steps between log lines", minimum=1, maximum=MAX_STEPS)
    console: str = document(
        "short", "a line of a step on the terminal: short, or full with all that the log file has", choices=CONSOLES
    )
    eval_every: int = document(
        0, "steps between validations and checkpoints; 0 for one at the end", minimum=0, maximum=MAX_STEPS
    )
    save_every: int = document(
        0, "steps between further checkpoints; 0 for those of eval_every only", minimum=0, maximum=MAX_STEPS
    )
    save_minutes: float = document(
        15.0,
        "minutes after which weights are saved between those, until the next checkpoint; 0: never",
        minimum=0,
        maximum=1e6,
    )
    patience: float = document(
        1800.0,
        "seconds for which a rank may keep the others waiting before they end; 0: no limit",
        minimum=0,
        maximum=1e6,
    )
    keep: int = document(2, "latest checkpoints that are kept, beside the best one", minimum=1, maximum=MAX_STEPS)


@dataclass
class InitConfig:
    """Weights to start from instead of random ones."""

    model: str | None = document(
        None, "model directory to fine-tune: its sizes, both towers and temperature; keys of `model` change the rest"
    )
    text: str | None = document(None, "model directory whose text tower is taken")
    image: str | None = document(None, "model directory whose image tower is taken")


@dataclass
class LoraConfig:
    """Low-rank adaptation of the attention's matrices (arXiv 2106.09685), merged into them in every saved model."""

    rank: int = document(0, "rank of the update; 0 for none", minimum=0, maximum=MAX_WIDTH)
    alpha: float = document(16.0, "the update is scaled by alpha / rank", positive=True, maximum=1e4)
    towers: tuple[str, ...] = document(("text", "image"), "towers that get it; text, image")

    def __post_init__(self):
        for tower in self.towers:
            if tower not in ("text", "image"):
                raise ConfigError(f"lora.towers holds {quoted(tower)}, but the towers are text and image")

    def adapted(self) -> tuple[str, ...]:
        """The towers that get updates in this run."""
        return tuple(self.towers) if self.rank else ()


@dataclass
class RunConfig:
    """A whole training run: what a file in configs/ holds."""

    model: ModelConfig = document(ModelConfig, "the two towers")
    init: InitConfig = document(InitConfig, "weights to start from")
    data: DataConfig = document(DataConfig, "sources and views")
    objective: ObjectiveConfig = document(ObjectiveConfig, "pairs of views")
    optimizer: OptimizerConfig = document(OptimizerConfig, "AdamW")
    train: TrainConfig = document(TrainConfig, "the loop")
    lora: LoraConfig = document(LoraConfig, "low-rank adaptation")
    seed: int = document(0, "of starting values, order and augmentation", minimum=0, maximum=MAX_SEED)
    output: str = document("output/run", "folder of log, checkpoints and model directory")

    def __post_init__(self):
        for name in ("image_tower", "text_tower"):
            if getattr(self.model, name) is None:
                raise ConfigError(f"model.{name} is null, but training needs both towers; describe it")
        if self.data.train is None:
            raise ConfigError(
                "data.train is not set; name a source of training samples, for example a .jsonl or .tsv file"
            )
        if self.optimizer.warmup >= self.train.steps and self.optimizer.warmup:
            raise ConfigError(
                f"optimizer.warmup {self.optimizer.warmup} is not below train.steps {self.train.steps}; lower it"
            )
        check_cache(self.model, self.data, self.objective.views(), self.lora.adapted())
