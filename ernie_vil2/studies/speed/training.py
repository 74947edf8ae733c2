"""Training speed on this device: pairs a second, and what share of the device's peak they are."""

import copy
import time

from ...config.run import IMAGE_VIEWS, RunConfig
from ...device import current_device
from ..noise import VOCABULARY, random_batch
from ..operations import has_counts, view_flops


def throughput(config: RunConfig, batch: int, steps: int) -> dict[str, float]:
    """{"pairs_per_second", "tflops"} of whole steps on noise, the first two left out; without the second for towers
    whose operations are not counted.

    tflops counts the operations that the gradient needs, 3 forward passes of every view; what the gradient cache and
    recompute do again is not counted, so the share of peak tells what they cost.
    """
    from ...training.rig import build

    config = copy.deepcopy(config)
    config.model.text_tower.vocab_size = config.model.text_tower.vocab_size or VOCABULARY
    rig, device = build(config, batch), current_device()
    pairs = random_batch(config.model, rig.system.views, batch)
    for number in range(steps + 2):
        if number == 2:
            device.synchronise()
            began = time.perf_counter()
        rig.step(pairs, number, show=False)
    device.synchronise()
    rate = steps * batch / (time.perf_counter() - began)
    rig.close()
    if not has_counts(config.model):
        return {"pairs_per_second": rate}
    image, text = view_flops(config.model)
    operations = 3 * sum(image if view in IMAGE_VIEWS else text for view in rig.system.views)
    return {"pairs_per_second": rate, "tflops": rate * operations / 1e12}
