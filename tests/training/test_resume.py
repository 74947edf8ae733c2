"""k steps, a stop of any kind, and k more steps leave every bit that 2k straight steps leave."""

import json
import re
import resource
import signal
import time

import numpy as np
import pytest

from ernie_vil2.config.load import load_run
from ernie_vil2.errors import CheckpointError, ConfigError
from ernie_vil2.files.paths.program import typed
from ernie_vil2.schema import as_dict
from ernie_vil2.training.checkpoint_scores import best_step
from ernie_vil2.training.resume import check_size, compare, restore_parameters
from tests.conftest import ROOT
from tests.training.runs import arrays, begin, command, different, rank_of, train, write_config


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """(folder, configuration) of 8 straight steps, checkpoints after 5 and later."""
    folder = tmp_path_factory.mktemp("straight")
    path = write_config(folder, train__keep=9)
    done = train("-c", path)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder, path


@pytest.fixture(scope="module")
def straight_on_two(tmp_path_factory):
    """(folder, configuration) of 8 straight steps on two ranks, with the optimizer's state divided."""
    folder = tmp_path_factory.mktemp("two")
    path = write_config(folder, train__keep=9, train__sharding=1)
    done = train("-c", path, processes=2, log_dir=folder / "launch")
    assert done.returncode == 0, done.stdout[-3000:]
    return folder, path


def steps_logged(folder):
    return list(logged(folder, "loss"))


def logged(folder, field):
    lines = (folder / "run/log.jsonl").read_text().splitlines()
    return {record["step"]: record[field] for record in map(json.loads, lines) if record["kind"] == "train"}


def losses(folder):
    return logged(folder, "loss")


def copy_run(source, target, until):
    """A copy of a run as it was after the checkpoint of step `until`."""
    import shutil

    shutil.copytree(source / "run", target / "run")
    for path in (target / "run/checkpoints").glob("step-*"):
        if int(path.name[5:]) > until:
            shutil.rmtree(path)


def test_a_checkpoint_holds_everything_and_is_a_model(straight):
    import ernie_vil2

    folder, _ = straight
    path = folder / "run/checkpoints/step-0000008"
    state = json.loads((path / "state.json").read_text())
    assert {"step", "position", "run", "versions", "files", "best", "ranks"} <= set(state)
    assert state["position"] == [2, 0] and state["step"] == 8  # 50 samples, 12 a batch: 4 batches an epoch
    names = {file.name for file in path.iterdir()} - {"state.json"}
    assert names == set(state["files"]) >= {"optimizer-0000-of-0001.safetensors", "average.safetensors"}
    held = arrays(folder, 8)
    assert any(key.startswith("optimizer/") and key.endswith("moment2") for key in held)
    assert ernie_vil2.load(path).encode_text("红色的圆").shape == (1, 32)


def test_in_the_middle_of_an_epoch_with_workers_and_cache(straight, tmp_path):
    folder, path = straight
    copy_run(folder, tmp_path, until=5)
    done = train("-c", path, "-o", f"output={tmp_path / 'run'}", "--resume", "auto")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "going on from" in done.stdout and "step 5, epoch 1, sample 12" in done.stdout
    assert steps_logged(tmp_path) == list(range(1, 9))
    assert different(arrays(tmp_path, 8), arrays(folder, 8)) == []


def test_a_checkpoint_of_release_0_1_goes_on_with_the_same_bits(straight, tmp_path):
    """What 0.1 did not know is missing in its state.json, and `negatives` was a word there."""
    folder, path = straight
    copy_run(folder, tmp_path, until=7)
    place = tmp_path / "run/checkpoints/step-0000007/state.json"
    state = json.loads(place.read_text(encoding="utf-8"))
    run = state["run"]
    del state["sha256"], run["model"]["system"], run["model"]["settings"], run["train"]["console"]
    run["objective"]["negatives"] = "batch"
    place.write_text(json.dumps(state), encoding="utf-8")
    assert not {"system", "settings"} & set(json.loads((place.parent / "config.json").read_text(encoding="utf-8")))
    done = train("-c", path, "-o", f"output={tmp_path / 'run'}", "--resume", "auto")
    assert done.returncode == 0, done.stderr[-2000:]
    assert different(arrays(tmp_path, 8), arrays(folder, 8)) == [] and " was " not in done.stdout


def test_on_two_ranks_and_then_on_one(straight_on_two, tmp_path):
    folder, path = straight_on_two
    (tmp_path / "two").mkdir(), (tmp_path / "one").mkdir()
    copy_run(folder, tmp_path / "two", until=5)
    copy_run(folder, tmp_path / "one", until=5)
    done = train(
        "-c", path, "-o", f"output={tmp_path / 'two/run'}", "--resume", "auto", processes=2, log_dir=tmp_path / "launch"
    )
    assert done.returncode == 0, done.stdout[-3000:]
    wanted = arrays(folder, 8)
    assert different(arrays(tmp_path / "two", 8), wanted) == []
    done = train("-c", path, "-o", f"output={tmp_path / 'one/run'}", "--resume", "auto")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "step 5, epoch 1, sample 12" in done.stdout
    there, here = losses(folder), losses(tmp_path / "one")
    assert [here[step] for step in (6, 7, 8)] == pytest.approx([there[step] for step in (6, 7, 8)], rel=1e-4)
    assert set(arrays(tmp_path / "one", 8)) == set(wanted)


def test_two_ranks_train_as_one_does(straight, straight_on_two):
    (one, _), (two, _) = straight, straight_on_two
    assert losses(two) == pytest.approx(losses(one), rel=1e-4)


def test_divided_gradients_are_clipped_by_the_norm_of_all(straight, tmp_path):
    one, _ = straight
    path = write_config(tmp_path, train__sharding=2, train__save_every=0)
    done = train("-c", path, processes=2, log_dir=tmp_path / "launch")
    assert done.returncode == 0, done.stdout[-3000:]
    assert losses(tmp_path) == pytest.approx(losses(one), rel=1e-4)
    norms = [logged(folder, "grad_norm") for folder in (tmp_path, one)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-3) and max(norms[0].values()) > 1.0  # so that it is clipped


def kill_when(folder, path, ready, *arguments, **options):
    """Start a run, kill -9 all of it as soon as ready() holds (or it ends)."""
    process = begin("-c", path, "--resume", "auto", *arguments, start_new_session=True, **options)
    try:
        while process.poll() is None and not ready():
            time.sleep(0.005)
    finally:
        import os

        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        output = process.communicate(timeout=60)[0]
    return output


def test_killed_while_it_saves_it_goes_on(straight, tmp_path):
    wanted, _ = straight
    path = write_config(tmp_path, train__keep=9)
    saves = tmp_path / "run/checkpoints"
    saving, saved = saves / "step-0000003.tmp", saves / "step-0000003"
    output = kill_when(tmp_path, path, lambda: saving.exists() or saved.exists())
    assert not (saves / "step-0000008").exists(), output
    done = train("-c", path, "--resume", "auto")
    assert done.returncode == 0, done.stderr[-2000:]
    assert different(arrays(tmp_path, 8), arrays(wanted, 8)) == []
    assert not list(saves.glob("*.tmp*"))


@pytest.mark.slow
def test_killed_at_twenty_random_moments_it_ends_with_the_same_bits(straight, tmp_path):
    wanted, _ = straight
    path = write_config(tmp_path, train__keep=9)
    rng = np.random.default_rng(7)
    began = time.monotonic()
    train("-c", write_config(tmp_path, output=str(tmp_path / "probe")))
    whole = time.monotonic() - began
    write_config(tmp_path, train__keep=9)
    for _ in range(20):
        after = time.monotonic() + rng.uniform(0.3, 1.0) * whole
        output = kill_when(tmp_path, path, lambda after=after: time.monotonic() > after)
        assert "error:" not in output, output
        if (tmp_path / "run/checkpoints/step-0000008").exists():
            import shutil

            shutil.rmtree(tmp_path / "run/checkpoints/step-0000008")
            for step in (7, 6, 5, 4):
                shutil.rmtree(tmp_path / f"run/checkpoints/step-{step:07d}", ignore_errors=True)
    done = train("-c", path, "--resume", "auto")
    assert done.returncode == 0, done.stderr[-2000:]
    assert different(arrays(tmp_path, 8), arrays(wanted, 8)) == []


DAMAGE = {
    "a letter": lambda text: text.replace('"seed": ', '"sEed": ', 1),
    "a digit": lambda text: re.sub(r'"lr": [^,\n]+', '"lr": 7', text, count=1),
    "a step": lambda text: re.sub(r'"step": \d+', '"step": 1000000000', text, count=1),
    "brackets": lambda text: "[" * 100_000 + text,
    "nested": lambda text: text.replace("{", '{"a": ' * 50_000 + "{", 1),
    "a list": lambda text: f"[{text}]",
    "infinity": lambda text: re.sub(r'"bytes": \d+', '"bytes": Infinity', text, count=1),
}
WITHOUT_SUM = {
    "step": [10**9, -1, True, 8.0, "8", None, [8], 10**30],
    "samples": [None, -1, 1.5, 10**21],
    "position": [None, 3, [1], [1, None], [True, 0], {"a": 1}],
    "run": [None, [], 3],
    "files": [None, [], {"a": 1}, {"/etc/passwd": {"bytes": 1, "sha256": ""}}, {"../x": {"bytes": 1, "sha256": ""}}],
    "loss_scale": [3, {"value": "x"}],
    "metrics": [[], 3, {"a": []}],
    "before": [[], {"valid": 3}],
    "best": [[], 3],
    "version": [None, True, []],
}


def test_state_json_is_believed_as_it_was_written_alone(straight, tmp_path):
    """Its own checksum, the name of its folder, and without a checksum the kinds of its values."""
    from ernie_vil2.training.distributed import Ranks
    from ernie_vil2.training.run_checkpoints import Checkpoints

    folder, _ = straight
    copy_run(folder, tmp_path, until=6)
    checkpoints = Checkpoints(tmp_path / "run/checkpoints", Ranks())
    path = checkpoints.latest()
    text = (path / "state.json").read_text()
    state = {key: value for key, value in json.loads(text).items() if key != "sha256"}
    wrong = [damage(text) for damage in DAMAGE.values()]
    wrong += [json.dumps({**state, key: value}) for key, values in WITHOUT_SUM.items() for value in values]
    wrong += [json.dumps({name: value for name, value in state.items() if name != key}) for key in ("run", "step")]
    for content in wrong:
        assert content != text
        (path / "state.json").write_text(content)
        with pytest.raises(CheckpointError, match=r"state.json is .*damaged .*--resume .*step-0000005") as caught:
            checkpoints.load(path)
        assert len(str(caught.value)) <= 480
        assert checkpoints.steps()[-1] == 6 and best_step(checkpoints.folder) is None
    (path / "state.json").write_text(json.dumps(state))  # as release 0.1 wrote it
    assert checkpoints.load(path).state["step"] == 6


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer-0000-of-0001.safetensors", "state.json"])
def test_a_damaged_file_is_named_and_the_checkpoint_before_is_offered(straight, tmp_path, name):
    from ernie_vil2.training.distributed import Ranks
    from ernie_vil2.training.run_checkpoints import Checkpoints

    folder, _ = straight
    copy_run(folder, tmp_path, until=6)
    checkpoints = Checkpoints(tmp_path / "run/checkpoints", Ranks())
    latest = checkpoints.latest()
    content = bytearray((latest / name).read_bytes())
    content[len(content) // 2] ^= 4
    (latest / name).write_bytes(content if name != "state.json" else content[:100])
    with pytest.raises(CheckpointError, match=rf"{name}.* damaged.*--resume .*step-0000005") as caught:
        checkpoints.load(latest)
    assert "\n" not in str(caught.value)
    (latest / name).unlink()
    if name != "state.json":  # without it a directory is no checkpoint, and the one before is the latest
        with pytest.raises(CheckpointError, match=rf"{name} is missing.*step-0000005"):
            checkpoints.load(latest)
    else:
        assert checkpoints.latest().name == "step-0000005"


def test_sigterm_saves_and_says_how_to_go_on(straight, tmp_path):
    wanted, _ = straight
    path = write_config(tmp_path, train__save_every=0)
    process = begin("-c", path)
    for line in process.stdout:
        if line.startswith("step 1/8:"):
            process.terminate()
            break
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 0, output
    assert f"go on with: {typed('train', '-c', path, '--resume', 'auto')}" in output
    step = max(steps_logged(tmp_path))
    assert (tmp_path / f"run/checkpoints/step-{step:07d}/state.json").exists() and step < 8
    assert train("-c", path, "--resume", "auto").returncode == 0
    assert different(arrays(tmp_path, 8), arrays(wanted, 8)) == []


@pytest.mark.slow
def test_sigterm_to_the_launcher_reaches_every_rank(tmp_path):
    path = write_config(tmp_path, train__save_every=0, train__sharding=1, train__steps=80)
    process = begin("-c", path, processes=2, log_dir=tmp_path / "launch")
    for line in process.stdout:  # the launcher passes lines on every two seconds
        if line.startswith("step 2/"):
            process.terminate()
            break
    process.communicate(timeout=120)
    step = max(steps_logged(tmp_path))
    assert (tmp_path / f"run/checkpoints/step-{step:07d}/state.json").exists() and step < 80
    done = train("-c", path, "--resume", "auto", processes=2, log_dir=tmp_path / "launch")
    assert done.returncode == 0, done.stdout[-3000:]
    assert steps_logged(tmp_path) == list(range(1, 81))


def test_a_disk_limit_is_one_sentence_and_loses_nothing(straight, tmp_path):
    folder, path = straight
    copy_run(folder, tmp_path, until=5)
    limit = (tmp_path / "run/checkpoints/step-0000005/model.safetensors").stat().st_size // 2
    done = train(
        "-c",
        path,
        "-o",
        f"output={tmp_path / 'run'}",
        "--resume",
        "auto",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: cannot write") and "step-0000006" in last and "File too large" in last
    assert sorted(entry.name for entry in (tmp_path / "run/checkpoints").glob("step-*"))[-1] == "step-0000005"


def test_a_rank_that_dies_ends_the_job_and_it_goes_on(straight_on_two, tmp_path):
    wanted, _ = straight_on_two
    path = write_config(tmp_path, train__keep=9, train__sharding=1)
    process = begin("-c", path, processes=2, log_dir=tmp_path / "launch", start_new_session=True)
    saves = tmp_path / "run/checkpoints"
    while process.poll() is None and not (saves / "step-0000003").exists():
        time.sleep(0.01)
    victim = rank_of(process.pid, 1)
    began = time.monotonic()
    import os

    os.kill(victim, signal.SIGKILL)
    output = process.communicate(timeout=120)[0]
    assert time.monotonic() - began < 60 and process.returncode != 0, output[-2000:]
    log = (tmp_path / "launch/workerlog.0").read_text(encoding="utf-8", errors="replace")
    assert "Traceback" not in log  # it was waiting, or says in a sentence that another rank has gone
    done = train("-c", path, "--resume", "auto", processes=2, log_dir=tmp_path / "launch")
    assert done.returncode == 0, done.stdout[-3000:]
    assert different(arrays(tmp_path, 8), arrays(wanted, 8)) == []


def test_another_branch_is_set_aside(straight, tmp_path):
    folder, path = straight
    copy_run(folder, tmp_path, until=7)
    older = tmp_path / "run/checkpoints/step-0000005"
    done = train("-c", path, "-o", f"output={tmp_path / 'run'}", "-o", "train.steps=6", "--resume", older)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "later checkpoints are set aside as step-0000006.abandoned, step-0000007.abandoned" in done.stdout
    names = sorted(entry.name for entry in older.parent.glob("step-000000[5-9]*"))
    assert names == ["step-0000005", "step-0000006", "step-0000006.abandoned", "step-0000007.abandoned"]


def test_a_source_of_another_size_is_refused():
    check_size(50, 50, "there")
    with pytest.raises(ConfigError, match="51 samples, and had 50 when there was written; give the same files"):
        check_size(51, 50, "there")


def test_weights_of_bf16_are_restored_and_exported():
    import paddle

    from ernie_vil2.models.layers import Linear
    from ernie_vil2.models.lora import LoraLinear

    layer = LoraLinear(Linear(8, 6), rank=2, alpha=2.0, key=(1,))
    layer.lora_b.set_value(np.full([2, 6], 0.5, np.float32))
    wanted = layer.merged()
    half = layer.to(dtype="bfloat16")
    assert np.abs(half.merged() - wanted).max() < 0.05
    kept = {key: np.asarray(value.astype("float32").numpy()) for key, value in half.state_dict().items()}
    restore_parameters(half, {key: 0 * array for key, array in kept.items()}, "there")
    restore_parameters(half, kept, "there")
    assert half.weight.dtype == paddle.bfloat16
    assert all(np.array_equal(value.astype("float32").numpy(), kept[key]) for key, value in half.state_dict().items())


def test_weights_of_another_model_are_refused_before_any_is_set():
    from ernie_vil2.models.layers import Linear

    layer = Linear(2, 3)
    before = layer.weight.numpy().copy()
    arrays = {"weight": np.ones([2, 3], np.float32), "bias": np.ones([4], np.float32)}
    with pytest.raises(
        CheckpointError, match=r"there does not fit: bias is \[4\] there and \[3\] here; it is of another"
    ):
        restore_parameters(layer, arrays, "there")
    with pytest.raises(CheckpointError, match="there lacks bias of 2 tensors; it is of another model"):
        restore_parameters(layer, {"weight": arrays["weight"]}, "there")
    assert np.array_equal(layer.weight.numpy(), before)


def test_what_may_change_is_told_and_what_may_not_is_refused(straight):
    _, path = straight
    saved = json.loads(json.dumps(as_dict(load_run(path))))
    assert compare(load_run(path), saved, "there") == []
    notes = compare(load_run(path, ["train.batch_size=10", "data.workers=0"]), saved, "there")
    assert notes == [
        "train.batch_size was 12 and is 10: the run goes on at the same sample, a step now takes another number of them"
    ]
    with pytest.raises(ConfigError, match="there belongs to another run: seed was 0 and is 1; give the same values"):
        compare(load_run(path, ["seed=1"]), saved, "there")
    with pytest.raises(ConfigError, match="data.train was"):
        compare(load_run(path, ["data.train={kind: scenes, size: 60}"]), saved, "there")


def test_the_launchers_command_is_the_readmes():
    started = command("-c", "x", processes=2, log_dir="log")
    assert started[3:6] == ["-m", "paddle.distributed.launch", "--nproc_per_node"]
    assert "paddle.distributed.launch --nproc_per_node 2" in (ROOT / "README.md").read_text(encoding="utf-8")
