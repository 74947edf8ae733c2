"""Several ranks against one process on the same micro-batches and masks: equal gradients, for every way to divide."""

import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernie_vil2.errors import ConfigError
from ernie_vil2.objectives.gather import divide
from ernie_vil2.training.distributed import lost_rank
from tests.conftest import ROOT
from tests.training.rank_cases import CASES, build_vocab
from tests.training.runs import different, environment, kill_ranks


def launch(processes, folder, *arguments, timeout=480, check=True):
    """Run a script on several gloo processes through Paddle's launcher, or on one without; its CompletedProcess.

    One thread each: a matrix product on more threads adds up in another order.
    """
    command = [sys.executable, "-W", "ignore"]
    if processes > 1:
        command += ["-m", "paddle.distributed.launch", "--nproc_per_node", str(processes)]
        command += ["--log_dir", str(folder / "launch")]
    done = subprocess.run(
        [*command, *map(str, arguments)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert not check or done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done


@pytest.fixture(scope="module")
def one_process(tmp_path_factory):
    """Folder with what one process finds, and with the weights to start from."""
    folder = tmp_path_factory.mktemp("one")
    build_vocab(folder / "vocab.txt", scenes=300)
    launch(1, folder, "tests/training/jobs.py", "gradients", folder)
    return folder


def arrays_of(size, one_process, folder, *cases):
    """[arrays of one process, then of each of several ranks] of some cases, or of all."""
    for file in [one_process / "vocab.txt", *one_process.glob("aligned-*.npz")]:  # the same weights to start from
        shutil.copy(file, folder)
    launch(size, folder, "tests/training/jobs.py", "gradients", folder, *cases)
    files = [one_process / "rank-0.npz", *(folder / f"rank-{rank}.npz" for rank in range(size))]
    return [dict(np.load(file)) for file in files]


@pytest.fixture(scope="module")
def two_ranks(one_process, tmp_path_factory):
    return arrays_of(2, one_process, tmp_path_factory.mktemp("two"))


@pytest.fixture(scope="module")
def three_ranks(one_process, tmp_path_factory):
    return arrays_of(3, one_process, tmp_path_factory.mktemp("three"), *THREE)


@pytest.mark.parametrize("case", CASES)
def test_two_ranks_have_the_gradient_of_one(two_ranks, case):
    check_gradients(two_ranks, case)


THREE = ("all", "several-positives", "all-shuffled-tags", "sigmoid")


@pytest.mark.slow
@pytest.mark.parametrize("case", THREE)
def test_three_ranks_have_the_gradient_of_one(three_ranks, case):
    check_gradients(three_ranks, case)


def check_gradients(arrays, case):
    """Arrays of one process, then of every rank, which has all gradients or those that it owns."""
    wanted, *found = (
        {key.split("/")[1]: value for key, value in rank.items() if key.startswith(case + "/")} for rank in arrays
    )
    assert set().union(*found) == set(wanted) and len(wanted) > 30
    rounding = 1e-9 * max(np.linalg.norm(value) for value in wanted.values())
    for rank in found:
        wrong = {}
        for key, value in rank.items():
            if not key.endswith("attn.k.bias"):  # softmax ignores it: nothing but rounding
                error, size = np.linalg.norm(value - wanted[key]), np.linalg.norm(wanted[key])
                if error > 1e-5 * size + rounding:
                    wrong[key] = error / size
        assert not wrong


@pytest.mark.parametrize("sharding", [1, 2])
def test_two_ranks_have_the_masters_of_one_under_emulated_o2(two_ranks, sharding):
    one, *two = (
        {key.split("/")[1]: value for key, value in rank.items() if key.startswith(f"o2-sharding-{sharding}/")}
        for rank in two_ranks
    )
    assert len(one) > 30 and different(*two) == []
    learnt = [key for key in one if not key.endswith(("attn.k.bias", "attn.qkv.bias"))]  # AdamW steps along rounding
    whole = [np.concatenate([rank[key].ravel().astype(np.float64) for key in learnt]) for rank in (one, two[0])]
    assert np.linalg.norm(whole[1] - whole[0]) < 1e-5 * np.linalg.norm(whole[0])


def test_a_lost_peer_is_one_sentence_and_other_errors_stay_what_they_are():
    error = RuntimeError("[/paddle/third_party/gloo/gloo/transport/tcp/pair.cc:589] Read error: Connection reset")
    assert lost_rank(error).startswith("another rank has gone (") and "--resume auto" in lost_rank(error)
    for words in (
        "ExternalError: NCCL error(6), remote process exited",
        "External: BKCL Error <3>, BKCL_RUNTIME_ERROR",
    ):
        assert "--resume auto" in lost_rank(OSError(words))
    stopped = RuntimeError(
        "[/paddle/third_party/gloo/gloo/transport/tcp/unbound_buffer.cc:80] TIMEOUT self_rank = none"
    )
    assert lost_rank(stopped, "rank 3 (stopped)").startswith("rank 3 (stopped) did not answer for 30 seconds (")
    assert lost_rank(ValueError("(InvalidArgument) The shape of input is wrong")) is None


def test_validation_is_shared_out_and_the_same(two_ranks):
    one, *two = ({key: value for key, value in rank.items() if key.startswith("validation/")} for rank in two_ranks)
    assert one["validation/image"].shape == (10, 32) and one["validation/metrics"].all()
    for rank in two:
        assert set(rank) == set(one)
        for key in one:
            np.testing.assert_allclose(rank[key], one[key], rtol=1e-5, atol=1e-6, err_msg=key)


@pytest.mark.parametrize("sharding, collectives", [(0, 7), (1, 10), (2, 10)])
def test_ranks_wait_for_the_device_once_a_step(two_ranks, sharding, collectives):
    """Labels, embeddings, maxima and sums of columns, the embeddings' gradient, buckets of the model's gradient, or
    of two owners, and the figures; with sharding the weights of both owners."""
    for rank in two_ranks[1:]:
        assert rank[f"reads/{sharding}"].tolist() == [1, collectives], rank[f"reads/{sharding}"]
    assert np.array_equal(two_ranks[0][f"reads/{sharding}"], [1, 0])


def two_nodes(folder):
    """Exit codes of two launchers of two processes each, or None when they have not found each other in a minute."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    logs = [folder / f"log{node}" for node in (0, 1)]
    nodes = [
        subprocess.Popen(
            [
                sys.executable,
                "-W",
                "ignore",
                "-m",
                "paddle.distributed.launch",
                "--master",
                f"127.0.0.1:{port}",
                "--nnodes",
                "2",
                "--rank",
                str(node),
                "--nproc_per_node",
                "2",
                "--log_dir",
                str(logs[node]),
                "tests/training/jobs.py",
                "collectives",
                str(folder),
            ],
            cwd=ROOT,
            env=environment(),
            stdout=open(folder / f"out{node}", "w"),
            stderr=subprocess.STDOUT,
        )
        for node in (0, 1)
    ]
    try:
        return [node.wait(60) for node in nodes]
    except subprocess.TimeoutExpired:
        return None
    finally:
        for node, log in zip(nodes, logs, strict=True):
            node.kill()
            node.wait()
            kill_ranks(log)


def test_two_nodes_of_two_processes_are_four_ranks(tmp_path):
    """On a loaded machine Paddle's launchers do not always find each other, hence several goes."""
    for attempt in range(3):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        codes = two_nodes(folder)
        if codes:
            break
    assert codes == [0, 0]
    for rank in range(4):
        found = np.load(folder / f"rank-{rank}.npz")
        assert found["sum"].tolist() == [6.0, 4.0]
        assert found["rows"].tolist() == [[1, 1], [2, 2], [2, 2], [3, 3], [3, 3], [3, 3]]


@given(st.integers(2, 60), st.integers(0, 20), st.integers(1, 6))
def test_micro_batches_are_the_same_on_any_number_of_ranks(batch_size, micro, size):
    try:
        shares = [divide(batch_size, micro, rank, size) for rank in range(size)]
    except ConfigError:
        assert -(-batch_size // min(micro or -(-batch_size // size), batch_size)) < size
        return
    assert {share.counts for share in shares} == {shares[0].counts} and shares[0].total == batch_size
    cut = [
        (number, share.start + rows.start, share.start + rows.stop)
        for share in shares
        for number, rows in share.chunks()
    ]
    assert [number for number, *_ in cut] == list(range(len(cut)))
    assert [start for _, start, _ in cut] == [0, *(stop for *_, stop in cut[:-1])] and cut[-1][2] == batch_size
    if micro:
        assert cut == [(k, s.start, s.stop) for k, s in divide(batch_size, micro).chunks()]
    assert max(shares[0].counts) - min(shares[0].counts) <= shares[0].micro
