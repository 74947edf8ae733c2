"""What only the names of a model's parameters tell of a configuration: the model is laid out, and holds no weights."""

import copy

import paddle

from ...config.model import PLAIN
from ...config.run import RunConfig
from ...config.towers import LIBRARIES
from ...systems.build import build
from ..optimization.freeze import Freezer, check_locked
from ..optimization.optimizer import weight_keys


def check_layout(config: RunConfig) -> None:
    """ConfigError for what a run refuses once its model is built: an entry of `optimizer` that fits no parameter, and
    an image tower that learns though its embeddings are to be kept.

    Systems with parameters of their own, towers of other libraries and low-rank updates are left to the run, which
    alone lays them out.
    """
    kinds = {tower.kind for tower in config.model.towers().values()}
    if config.model.system != PLAIN or config.lora.rank or kinds & set(LIBRARIES):
        return
    config = copy.deepcopy(config)
    tower = config.model.text_tower
    tower.vocab_size = tower.vocab_size or 1  # of the vocabulary, which is not read here
    with paddle.LazyGuard(), paddle.utils.unique_name.guard():
        model = build(config).model
    freezer = Freezer(model, config.optimizer.freeze)
    weight_keys(model, config.optimizer, learning=freezer.learning_ever())
    if config.data.cache_locked:
        check_locked(model, freezer)
