"""What a projection to many cards needs, measured on this machine: memory, time and bytes of the real step.

Sizes are measured in processes of their own; what goes over the wire is counted in a job of two ranks that runs the
training step's own code on a tiny model. `docs/scaling.json` holds a measurement.
"""

import contextlib
import gc
import json
import platform
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...config.model import ImageTowerConfig, ModelConfig, PixelProfile, TextTowerConfig
from ...config.run import ObjectiveConfig
from ...device import MIB, current_device
from ...errors import UserError
from ...runtime import cpu_count, import_paddle

START = "from ernie_vil2.studies.scaling import measure; measure.serve()"
LARGE = {"width": 1024, "depth": 24, "heads": 16}
SIZES = {
    "base": ModelConfig(),
    "large": ModelConfig(
        image_tower=replace(ImageTowerConfig(), patch_size=14, **LARGE),
        text_tower=replace(TextTowerConfig(), **LARGE),
    ),
}
"""ViT-B/16 with ERNIE 3.0 base, and ViT-L/14 with a text tower of the same depth and width."""
PAIRS = (("image", "caption"), ("image", "tags"), ("image", "image'"), ("caption", "caption'"), ("caption", "tags"))
IMAGE_VIEWS, TEXT_VIEWS = ("image", "image'"), ("caption", "caption'", "tags")
MICRO = {"base": 4, "large": 2}
TURNS = 2
RANK_BATCH = 512
NARROW = 8
TIMEOUT = 900


def measure(say=lambda line: None):
    """Everything, as JSON-able data: sizes.{base,large}, wire, loss, and on what it was measured."""
    sizes = {}
    for size in SIZES:
        say(f"measuring {size} ...")
        sizes[size] = ask({"what": "size", "size": size})
    say("counting what two ranks send ...")
    return {"machine": f"{platform.machine()}, {cpu_count()} cores", "sizes": sizes, **ask({"what": "ranks"})}


def ask(job):
    """The answer of a process to a job; UserError with its last line when it fails."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", START],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    if done.returncode:
        raise UserError(f"{job} could not be measured: {(done.stderr.strip() or 'no reason given').splitlines()[-1]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def serve():
    """One process of `ask`: a job as JSON on standard input, the answer as JSON on the last line."""
    import_paddle()
    job = json.loads(sys.stdin.read())
    print(json.dumps(measure_size(job["size"]) if job["what"] == "size" else measure_ranks()))


def measure_size(size):
    """Parameters, and per view of a tower: seconds of forward and backward, bytes that forward leaves for backward."""
    import paddle

    from ...models.dual_encoder import new_model

    config, count = SIZES[size], MICRO[size]
    model = new_model(config, ("mm", "ii", "tt"))
    model.train()
    side = config.image_tower.image_size
    inputs = {
        "image": (model.encode_image, paddle.rand([count, 3, side, side])),
        "text": (model.encode_text, paddle.randint(1, config.text_tower.vocab_size, [count, config.max_length])),
    }
    result = {"parameters": sum(int(parameter.size) for parameter in model.parameters()), "micro_batch": count}
    for tower, (encode, value) in inputs.items():
        turns = [one_turn(model, encode, value) for _ in range(TURNS + 1)][1:]
        model.recompute = True
        recomputed = one_turn(model, encode, value)["bytes"]
        model.recompute = False
        best = {key: min(turn[key] for turn in turns) / count for key in turns[0]}
        result[tower] = {**best, "bytes_recompute": recomputed / count}
    return result


def one_turn(model, encode, value):
    """Seconds of a forward and a backward pass, and bytes held between them."""
    device = current_device()
    gc.collect()
    device.synchronise()
    before, start = allocated(), time.perf_counter()
    loss = encode(value).sum()
    device.synchronise()
    middle, held = time.perf_counter(), allocated() - before
    loss.backward()
    device.synchronise()
    end = time.perf_counter()
    model.clear_gradients()
    return {"forward": middle - start, "backward": end - middle, "bytes": held}


def allocated():
    """Bytes of Paddle's tensors on the device."""
    return current_device().tensors().now * MIB


def measure_ranks():
    """From a job of two ranks: `wire`, bytes handed to collectives per parameter, embedding value and sample; `loss`,
    bytes that the loss holds for each row and column."""
    import tempfile

    import paddle.distributed as dist

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "counts.json"
        dist.spawn(rank_job, args=(str(path),), nprocs=2, backend="gloo")
        return json.loads(path.read_text())


def rank_job(path):
    """One of two ranks: the step's collectives are counted by what they carry, the loss by what it holds."""
    import paddle.distributed as dist

    from ...models.dual_encoder import new_model
    from ...objectives.contrastive import ContrastiveObjective
    from ...objectives.gather import divide
    from ...training.distributed import GradientSync, Ranks
    from ...training.step import GradientStep

    dist.init_parallel_env()
    ranks = Ranks(dist.get_rank(), dist.get_world_size())
    tower = {"width": 32, "depth": 1, "heads": 2}
    config = ModelConfig(
        image_tower=ImageTowerConfig(image_size=16, patch_size=8, **tower),
        text_tower=TextTowerConfig(vocab_size=64, positions=8, **tower),
        max_length=8,
        pixels=PixelProfile(size=16),
    )
    objective = ContrastiveObjective(ObjectiveConfig(pairs=[[*pair, 1.0] for pair in PAIRS]))
    model = new_model(config, objective.groups)
    share = divide(RANK_BATCH * ranks.size, RANK_BATCH, ranks.rank, ranks.size)
    batch = random_batch(share, config)
    values, parameters = share.total * len(objective.views) * 32, sum(int(p.size) for p in model.parameters())
    with counted() as step:
        GradientStep(model, objective, share=share, side_by_side=False)(batch, 0)
    with counted() as plain:
        GradientSync(model, ranks).reduce()
    with counted() as sharded:
        owner = GradientSync(model, ranks, 2)
        owner.reduce()
        owner.publish()
    held, peak = loss_bytes(objective, batch, model, share)
    if ranks.main:
        Path(path).write_text(
            json.dumps(
                {
                    "wire": {
                        "metadata_per_sample": step["all_gather", "int64"] / share.total,
                        "embedding_per_value": step["all_gather", "float32"] / values,
                        "embedding_gradient_per_value": step["all_reduce", "float32"] / values,
                        "gradient_per_parameter": plain["all_reduce", "float32"] / parameters,
                        "sharded_per_parameter": (sharded["reduce", "float32"] + sharded["broadcast", "float32"])
                        / parameters,
                    },
                    "loss": {"held_per_pair": held / len(PAIRS), "peak": peak},
                }
            )
        )


def loss_bytes(objective, batch, model, share):
    """(held between forward and backward, peak of both): bytes for each of b x B rows and columns, all pairs together.

    Both directions, targets and masks are in it. Embeddings are narrow here, so that what they take is not.
    """
    device = current_device()
    embeds = {view: normal(share, NARROW) for view in objective.views}
    gc.collect()
    device.forget_most()
    before, entries = allocated(), share.rows * share.total
    parts = objective.loss(embeds, batch, model, share)
    held = allocated() - before
    parts["loss"].backward()  # a collective, so every rank takes part
    return held / entries, (device.tensors().most * MIB - before) / entries


def normal(share, width):
    """Embeddings of noise that want a gradient."""
    import paddle

    value = paddle.randn([share.rows, width])
    value.stop_gradient = False
    return value


def random_batch(share, config):
    """A Batch of noise with every view; every eighth sample has no tags, so that masks are needed."""
    from ...data.batches.views import Batch

    rng, rows, side = np.random.default_rng(share.rank), share.rows, config.pixels.size
    place = share.start + np.arange(rows)
    return Batch(
        pixels={view: rng.integers(0, 256, (rows, side, side, 3), dtype=np.uint8) for view in IMAGE_VIEWS},
        tokens={view: rng.integers(1, config.text_tower.vocab_size, (rows, config.max_length)) for view in TEXT_VIEWS},
        image_ids=place,
        text_ids=dict.fromkeys(TEXT_VIEWS, place),
        present={view: (place % 8 > 0) | (view != "tags") for view in TEXT_VIEWS},
        index=place,
        where=[str(row) for row in place],
    )


@contextlib.contextmanager
def counted():
    """A Counter {(collective, type): bytes} of what this rank's collectives carry while the block runs.

    An all-gather counts with what it gives, the others with the tensor that they are given.
    """
    import paddle.distributed as dist

    names = ("all_gather", "all_reduce", "reduce", "broadcast")
    counts, kept = Counter(), {name: getattr(dist, name) for name in names}

    def counting(name, collective):
        def run(*args, **options):
            tensor = args[1] if name == "all_gather" else args[0]
            size = int(tensor.size) * tensor.element_size() * (dist.get_world_size() if name == "all_gather" else 1)
            counts[name, str(tensor.dtype).split(".")[-1]] += size
            return collective(*args, **options)

        return run

    try:
        for name, collective in kept.items():
            setattr(dist, name, counting(name, collective))
        yield counts
    finally:
        for name, collective in kept.items():
            setattr(dist, name, collective)
