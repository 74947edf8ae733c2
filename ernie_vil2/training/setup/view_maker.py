"""What makes the views of a run's samples, known before a model is built."""

from ...config.run import RunConfig
from ...data.batches.views import ViewMaker
from ...data.images.limits import limits_of
from ...data.tokenizer import Tokenizer
from ...systems.registry import system_class


def view_maker(config: RunConfig, tokenizer: Tokenizer) -> ViewMaker:
    """The ViewMaker of a run; ConfigError where two of its views would be one picture."""
    system = system_class(config.model.system)
    return ViewMaker(
        system.objective_of(config).views,
        tokenizer,
        config.model.pixels,
        config.data.augmentation,
        config.objective.tag_language,
        config.seed,
        config.data.reduced_decode,
        limits_of(config.data.damaged),
        system.most_boxes(config.model),
        config.objective.second_caption,
    )
