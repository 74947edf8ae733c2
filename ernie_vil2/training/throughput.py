"""Training speed on this device: pairs a second, and what share of the device's peak they are."""

import time

from ..config import load_run
from .memory_bench import VOCABULARY, random_batch
from .scaling import view_flops


def throughput(config, batch, steps):
    """{"pairs_per_second", "tflops"} of whole steps on noise, the first two left out; config: a RunConfig.

    tflops counts the operations that the gradient needs, 3 forward passes of every view; what the gradient cache and
    recompute do again is not counted, so the share of peak tells what they cost.
    """
    import paddle

    from ..objectives.contrastive import ContrastiveObjective
    from ..objectives.gather import divide
    from ..objectives.views import IMAGE_VIEWS
    from .optim import build_optimizer, clear_gradients
    from .start import start_model
    from .step import GradientStep

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
    synchronise = paddle.device.synchronize if paddle.get_device().startswith("gpu") else lambda: None
    pairs = random_batch(config.model, objective.views, batch)
    for number in range(steps + 2):
        if number == 2:
            synchronise()
            began = time.perf_counter()
        step(pairs, number)
        optimizer.step()
        clear_gradients(model.parameters())
    synchronise()
    rate = steps * batch / (time.perf_counter() - began)
    step.close()
    operations = 3 * sum(image if view in IMAGE_VIEWS else text for view in objective.views)
    return {"pairs_per_second": rate, "tflops": rate * operations / 1e12}


def train(args):
    """Pairs a second of a training step on noise, and its share of the device's peak."""
    config = load_run(args.config, ["data.train=none", *args.override])
    found = throughput(config, args.batch, args.steps)
    share = f", {found['tflops'] / args.peak:.1%} of {args.peak:g}" if args.peak else ""
    print(f"{found['pairs_per_second']:,.1f} pairs/s, {found['tflops']:,.2f} TFLOP/s{share}")


def add_verb(verbs, count):
    """Add `train` to the verbs of an argument parser; `count` reads a number of at least 1."""
    verb = verbs.add_parser("train", help=train.__doc__, description=train.__doc__)
    verb.add_argument("-c", "--config", default="configs/ernie_vil2_base_vit_zh.yaml", help="default: %(default)s")
    verb.add_argument("-o", "--override", action="append", default=[], metavar="KEY=VALUE")
    verb.add_argument("--batch", type=count, default=64, metavar="N", help="pairs of a step (default %(default)s)")
    verb.add_argument("--steps", type=count, default=10, metavar="N", help="default: %(default)s")
    verb.add_argument("--peak", type=float, metavar="TFLOPS", help="the device's peak, for example 312 (A100, bf16)")
    verb.set_defaults(run=train)
