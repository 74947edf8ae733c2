"""Training speed on this device: pairs a second, and what share of the device's peak they are."""

import time

from ...device import current_device
from ..scaling.project import view_flops
from .memory import VOCABULARY, random_batch


def throughput(config, batch, steps):
    """{"pairs_per_second", "tflops"} of whole steps on noise, the first two left out; config: a RunConfig.

    tflops counts the operations that the gradient needs, 3 forward passes of every view; what the gradient cache and
    recompute do again is not counted, so the share of peak tells what they cost.
    """
    import paddle

    from ...objectives.contrastive import ContrastiveObjective
    from ...objectives.gather import divide
    from ...objectives.views import IMAGE_VIEWS
    from ...training.optimization.optimizer import build_optimizer, clear_gradients
    from ...training.setup.initial_weights import start_model
    from ...training.step import GradientStep

    image, text = view_flops(config.model)
    config.model.text_tower.vocab_size = config.model.text_tower.vocab_size or VOCABULARY
    objective = ContrastiveObjective(config.objective)
    model = start_model(config, objective)
    model.train()
    model.recompute = config.train.recompute
    if config.train.precision != "fp32" and config.train.amp_level == "O2":
        dtype = "bfloat16" if config.train.precision == "bf16" else "float16"
        model = paddle.amp.decorate(model, level="O2", dtype=dtype)
    optimizer, _ = build_optimizer(model, config.optimizer, config.train.steps)
    share = divide(batch, config.train.micro_batch)
    step = GradientStep(model, objective, 0, share, config.train.precision, config.train.amp_level)
    device = current_device()
    pairs = random_batch(config.model, objective.views, batch)
    for number in range(steps + 2):
        if number == 2:
            device.synchronise()
            began = time.perf_counter()
        step(pairs, number)
        optimizer.step()
        clear_gradients(model.parameters())
    device.synchronise()
    rate = steps * batch / (time.perf_counter() - began)
    step.close()
    operations = 3 * sum(image if view in IMAGE_VIEWS else text for view in objective.views)
    return {"pairs_per_second": rate, "tflops": rate * operations / 1e12}
