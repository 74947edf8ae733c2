"""Points 5 and 6: what two cards compute together against one, or against NumPy, and which cards a rank touches."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from ernie_vil2.device import current_device
from ernie_vil2.files.json_files import read_json
from tests.gpu.cards import processes_by_card
from tests.gpu.launching import launch
from tests.gpu.rank_jobs import MICRO, ROWS, batch_norm_inputs
from tests.gpu.records import Figure, Record
from tests.training import runs
from tests.training.rank_cases import CASES, build_vocab

EPSILON, MOMENTUM = 1e-5, 0.9
"""Of a batch norm that is made without saying otherwise."""


def folder_in(folder: Path, name: str) -> Path:
    """A new folder below another one."""
    (folder / name).mkdir()
    return folder / name


def gradients(folder: Path) -> Iterator[Record]:
    """Every objective, with shares of 6 and 8 rows, on two cards and on one: NCCL's collectives and what follows."""
    one, two = folder_in(folder, "one"), folder_in(folder, "two")
    build_vocab(one / "vocab.txt", scenes=300)
    launch(one, "tests/training/jobs.py", "gradients", one, processes=1)
    for file in [one / "vocab.txt", *one.glob("aligned-*.npz")]:  # the same weights to start from
        shutil.copy(file, two)
    launch(two, "tests/training/jobs.py", "gradients", two)
    with np.load(one / "rank-0.npz") as wanted, np.load(two / "rank-0.npz") as found:
        yield gradient_record(dict(wanted), dict(found))


def gradient_record(wanted: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray]) -> Record:
    """The largest error of a case's whole gradient, of {"case/parameter": array}."""
    errors = {}
    for case in CASES:
        keys = [key for key in found if key.startswith(f"{case}/") and not key.endswith(("attn.k.bias", "/loss"))]
        pairs = [(found[key].ravel(), wanted[key].ravel()) for key in keys]
        error = np.sqrt(sum(np.sum((ours - theirs) ** 2) for ours, theirs in pairs))
        size = np.sqrt(sum(np.sum(theirs**2) for _, theirs in pairs))
        errors[case] = float(error / size) if keys else float("inf")
    worst = max(errors, key=errors.get)
    return Record(
        "gradients",
        "two ranks with unequal shares, fp32",
        {
            "largest error": Figure(errors[worst], "of its norm", 1e-3),
            "of": Figure(worst),
            "cases": Figure(len(errors)),
        },
        "two cards learn what one would from the whole batch",
        details=errors,
    )


def batch_norm_reference() -> dict[str, np.ndarray]:
    """float64 output, gradient, and running mean and variance of a learning batch norm on the whole batch."""
    rows, upstream = (part.astype(np.float64) for part in batch_norm_inputs())
    axes, count = (0, 2, 3), rows.size // rows.shape[1]
    mean, variance = rows.mean(axes, keepdims=True), rows.var(axes, keepdims=True)
    scale = (variance + EPSILON) ** -0.5
    output = (rows - mean) * scale
    of_mean = upstream.mean(axes, keepdims=True)
    of_scale = (upstream * output).mean(axes, keepdims=True)
    return {
        "output": output,
        "gradient": scale * (upstream - of_mean - output * of_scale),
        "mean": (1 - MOMENTUM) * mean.ravel(),
        "variance": MOMENTUM + (1 - MOMENTUM) * variance.ravel(),
        "unbiased": MOMENTUM + (1 - MOMENTUM) * variance.ravel() * count / (count - 1),
    }


def batch_norm_errors(ranks: list[Mapping[str, np.ndarray]]) -> dict[str, float]:
    """{"output", "gradient", "mean", "variance"}: error over norm, of statistics the worst rank's."""
    wanted, found = batch_norm_reference(), {}
    for name in ("output", "gradient"):
        whole = np.concatenate([rank[name] for rank in ranks])
        found[name] = np.linalg.norm(whole - wanted[name]) / np.linalg.norm(wanted[name])
    for name, targets in (("mean", ("mean",)), ("variance", ("variance", "unbiased"))):
        found[name] = max(
            min(np.linalg.norm(rank[name] - wanted[target]) / np.linalg.norm(wanted[target]) for target in targets)
            for rank in ranks
        )
    return {name: float(error) for name, error in found.items()}


def batch_norm(folder: Path) -> Iterator[Record]:
    """Statistics over all ranks: those of the whole batch, and not those of a rank's own rows."""
    for case, options in (("local", ["local"]), ("over ranks", [])):
        below = folder_in(folder, case.replace(" ", "-"))
        launch(below, "tests/gpu/rank_jobs.py", "batch_norm", below, *options)
        yield batch_norm_record(case, batch_norm_errors([dict(np.load(below / f"rank-{rank}.npz")) for rank in (0, 1)]))


def batch_norm_record(case: str, errors: Mapping[str, float]) -> Record:
    """The case "local", which must differ from the whole batch, or "over ranks", which must not."""
    local = case == "local"
    limits = {"least": 1e-2} if local else {"most": 1e-4}
    return Record(
        "batch-norm",
        f"{case}, micro-batches of {MICRO} of {ROWS} rows",
        {f"error of {name}": Figure(error, "of its norm", **limits) for name, error in errors.items()},
        "statistics of its own rows would be seen here" if local else "statistics are those of the whole batch",
    )


def rank_files(folder: Path, count: int = 2) -> list[dict]:
    """What the ranks of a job have written."""
    return [read_json(folder / f"rank-{rank}.json") for rank in range(count)]


def weights_record(point: str, case: str, ranks: list[dict]) -> Record:
    """Whether the weights of all ranks have the same bits."""
    names = set().union(*(rank["weights"] for rank in ranks))
    differ = sorted(name for name in names if len({rank["weights"].get(name) for rank in ranks}) > 1)
    return Record(
        point,
        case,
        {"tensors that differ between ranks": Figure(len(differ), f"of {len(names)}", most=0)},
        "all ranks have the same model, bit for bit",
        details={"differ": differ[:20]},
    )


def weights(folder: Path, steps: int = 20, **changes) -> Iterator[Record]:
    """Some steps on two ranks: equal weights, and one process more on each of two cards. changes: of the run."""
    before = processes_by_card()
    runs.write_config(folder, train__steps=steps, train__save_every=0, **changes)
    launch(folder, "tests/gpu/rank_jobs.py", "train", folder)
    ranks = rank_files(folder)
    yield weights_record("weights", f"{steps} steps of two ranks", ranks)
    yield own_cards_record(before, ranks[0]["processes"])


def own_cards_record(before: Mapping[str, int], during: Mapping[str, int], count: int = 2) -> Record:
    """Whether `count` cards have one process more than before, and the others none; {uuid: processes}."""
    case = "processes on each card"
    if sum(during.values()) < count + sum(before.values()):
        reason = "nvidia-smi does not list these processes, as in many containers; ask it on the host"
        return Record("weights", case, reason=reason, lacking=True)
    more = {card: during.get(card, 0) - before.get(card, 0) for card in {*before, *during}}
    wrong = sum(abs(number) for number in more.values()) - count
    cards = sum(number > 0 for number in more.values())
    return Record(
        "weights",
        case,
        {"cards in use": Figure(cards, "", count, count), "processes too many": Figure(wrong, "", 0, 0)},
        "each rank holds memory on its own card only",
        details={"before": dict(before), "during": dict(during)},
    )


def sharding(folder: Path) -> Iterator[Record]:
    """Sharding 1 and 2 under O2: equal weights on both ranks, and a resumed run has the bits of a straight one."""
    if "bf16" not in current_device().precisions:
        yield Record("sharding", "bf16 O2", reason="this card has no bf16", lacking=True)
        return
    for level in (1, 2):
        yield from resumed(folder_in(folder, f"sharding-{level}"), level, "bf16", "O2")


def resumed(folder: Path, level: int, precision: str, amp: str) -> Iterator[Record]:
    """6 straight steps, and 3 of them once more from the checkpoint between."""
    keys = {"steps": 6, "save_every": 3, "keep": 4, "sharding": level, "precision": precision, "amp_level": amp}
    runs.write_config(folder, **{f"train__{key}": value for key, value in keys.items()})
    launch(folder, "tests/gpu/rank_jobs.py", "train", folder)
    case = f"sharding {level}, {precision} {amp}"
    yield weights_record("sharding", case, rank_files(folder))
    straight = runs.arrays(folder, 6)
    launch(folder, "tests/gpu/rank_jobs.py", "train", folder, folder / "run" / "checkpoints" / "step-0000003")
    yield resume_record(f"{case}, resumed", straight, runs.arrays(folder, 6))


def resume_record(case: str, straight: Mapping[str, np.ndarray], again: Mapping[str, np.ndarray]) -> Record:
    """Whether two checkpoints have the same bits."""
    differ = runs.different(straight, again)
    shared = [key for key in differ if key in straight and key in again]
    errors = [np.abs(straight[key].astype(np.float64) - again[key]).max() for key in shared]
    return Record(
        "sharding",
        case,
        {
            "arrays that differ": Figure(len(differ), f"of {len(straight)}", most=0),
            "largest difference": Figure(float(max(errors, default=0.0))),
        },
        "a stop and a resume lose nothing",
        details={"differ": differ[:20]},
    )
