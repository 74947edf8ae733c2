"""The checkpoints of a run: state.json, score.json, weights and what lies beside them, read as resuming does."""

import functools
import json
import random
import tempfile
from pathlib import Path

from ernie_vil2.checkpoints.model_directory import open_model
from ernie_vil2.config.load import load_run
from ernie_vil2.errors import CheckpointError, ConfigError, DataError
from ernie_vil2.files.run_folder import latest_model
from ernie_vil2.schema import as_dict
from ernie_vil2.training.checkpoint_scores import best_step, damaged_scores, scores
from ernie_vil2.training.distributed import Ranks
from ernie_vil2.training.resume import check_size, compare
from ernie_vil2.training.run_checkpoints import Checkpoints
from tests.fuzz.configurations import small
from tests.fuzz.damage import damaged
from tests.fuzz.example import Example
from tests.fuzz.judge import Target
from tests.fuzz.values import spoilt_json, yaml_text
from tests.fuzz.weight_files import STATE, Files, contents, small_config, small_state, vocabulary
from tests.fuzz.weights import spoilt_safetensors, spoilt_words


def resumed(example: Example, folder: object) -> None:
    """All that is asked of the folder of a run: its steps and scores, and its latest checkpoint to go on from."""
    checkpoints = Checkpoints("run/checkpoints", Ranks())
    scores(checkpoints.folder)
    best_step(checkpoints.folder)
    damaged_scores(checkpoints.folder)
    if example.told["way"] == "model":
        state, *_ = open_model(latest_model("run"))
        for key in state:
            state[key]
        return
    latest = checkpoints.latest() or checkpoints.path(2)
    saved = checkpoints.load(latest)
    for group in saved.groups.values():
        for name in group:
            group[name]
    compare(load_run("run.yaml"), saved.state["run"], latest)
    check_size(9, saved.state["samples"], latest)
    step, (_epoch, _sample) = saved.state["step"], saved.state["position"]
    if example.told["way"] == "branch":
        checkpoints.abandon_after(step - 1)
    if example.told["way"] == "score":
        checkpoints.score(step, 0.5, {"r1": 0.5})


STEPS = ("step-9", "step-x", "step-\u0663", "step--", "step-0000001.tmp", "step-")

TARGETS = {"run": Target(resumed, (CheckpointError, ConfigError, DataError))}


@functools.cache
def run_files() -> Files:
    """A run of two checkpoints, the first of which is scored."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "run.yaml").write_text(yaml_text(small()), encoding="utf-8")
        run = json.loads(json.dumps(as_dict(load_run(folder / "run.yaml"))))
        checkpoints = Checkpoints(folder / "run" / "checkpoints", Ranks(), keep=3, vocab=vocabulary())
        for step in (1, 2):
            state = {
                "step": step,
                "run": run,
                "samples": 9,
                "position": [0, step],
                "loss_scale": None,
                "metrics": {},
                "before": None,
            }
            checkpoints.save(state, small_state(), small_config(), {"system": STATE}, {"optimizer": STATE})
            if step == 1:
                checkpoints.score(1, 50.0, {"mean_recall": 50.0})
        return contents(folder)


def make(rng: random.Random) -> Example:
    """A run with one or two of its files damaged."""
    files, whole = dict(run_files()), list(run_files())
    for _ in range(rng.choice((1, 1, 2))):
        settings = [name for name in whole if name.endswith(("state.json", "score.json"))]
        name = rng.choice(settings if settings and rng.randrange(2) else whole)
        whole.remove(name)
        data, way = files.pop(name), rng.randrange(12)
        if way == 1:
            files[name + "/"] = b""
        elif way == 2:
            files[rng.choice((f"{name}x", *(name.replace("step-", step) for step in STEPS)))] = data
        elif name.endswith(".json") and way < 10:
            files[name] = spoilt_json(rng, json.loads(data))
        elif name.endswith(".safetensors") and way < 8:
            files[name] = spoilt_safetensors(rng, data)
        elif name.endswith(".txt"):
            files[name] = spoilt_words(rng)
        elif way:
            files[name] = damaged(rng, data)
    return Example("run", files, {"way": rng.choice(("resume", "resume", "branch", "score", "model"))})
