"""Variables of a launcher: what belongs together is taken, what a job left in the shell is told and how to clear it."""

import json

import pytest

from ernie_vil2.errors import ConfigError
from ernie_vil2.training.ranks.launch import VARIABLES, Launch, plain_environment, read_launch

ADDRESSES = "127.0.0.1:6170,127.0.0.1:6171,10.0.0.2:6170"
WHOLE = {
    "PADDLE_TRAINERS_NUM": "3",
    "PADDLE_TRAINER_ID": "1",
    "PADDLE_TRAINER_ENDPOINTS": ADDRESSES,
    "PADDLE_CURRENT_ENDPOINT": "127.0.0.1:6171",
    "PADDLE_MASTER": "127.0.0.1:6000",
}


@pytest.fixture
def variables(monkeypatch):
    """Function (variables) that makes them all that there are."""

    def put(wanted):
        for name in (*VARIABLES, "FLAGS_stop_check_timeout", "FLAGS_nccl_nrings"):
            monkeypatch.delenv(name, raising=False)
        for name, value in wanted.items():
            monkeypatch.setenv(name, value)

    return put


def without(*names, **changed):
    return {name: value for name, value in {**WHOLE, **changed}.items() if name not in names}


@pytest.mark.parametrize(
    "wanted, launch",
    [
        (WHOLE, Launch(1, 3, "127.0.0.1", 6000)),
        (without("PADDLE_MASTER"), Launch(1, 3, "127.0.0.1", 6170)),  # as paddle.distributed.spawn starts them
        (without("PADDLE_TRAINER_ENDPOINTS"), Launch(1, 3, "127.0.0.1", 6000)),
        ({**WHOLE, "MASTER_ADDR": "10.0.0.1"}, Launch(1, 3, "127.0.0.1", 6000)),  # others than Paddle read it
        ({**WHOLE, "PADDLE_PG_TIMEOUT": "1000"}, Launch(1, 3, "127.0.0.1", 6000)),
        (without("PADDLE_TRAINERS_NUM"), Launch()),
        ({**WHOLE, "PADDLE_TRAINERS_NUM": ""}, Launch()),
        ({**WHOLE, "PADDLE_TRAINERS_NUM": "1"}, Launch()),
        ({"PADDLE_TRAINERS_NUM": "1", "PADDLE_TRAINER_ID": "x"}, Launch()),
        ({"MASTER_ADDR": "nobody", "MASTER_PORT": "x"}, Launch()),
    ],
)
def test_what_belongs_together_is_taken(variables, wanted, launch):
    variables(wanted)
    assert read_launch() == launch


@pytest.mark.parametrize(
    "wanted, named",
    [
        ({"PADDLE_TRAINERS_NUM": "2"}, "PADDLE_TRAINER_ID is not set"),
        ({"PADDLE_TRAINERS_NUM": "2", "PADDLE_TRAINER_ID": "0"}, "PADDLE_CURRENT_ENDPOINT is ''"),
        *(
            ({**WHOLE, "PADDLE_TRAINERS_NUM": text}, "PADDLE_TRAINERS_NUM is '")
            for text in ("abc", "0", "-2", "2.0", "２", "1e3", "9" * 5000, "3\n\x1b[2J", "\udcff")
        ),
        *(({**WHOLE, "PADDLE_TRAINER_ID": text}, "PADDLE_TRAINER_ID is '") for text in ("abc", "-1", "", " ", "1.5")),
        ({**WHOLE, "PADDLE_TRAINER_ID": "3"}, "PADDLE_TRAINER_ID is 3, but PADDLE_TRAINERS_NUM is 3"),
        (
            {**WHOLE, "PADDLE_TRAINERS_NUM": "2"},
            "PADDLE_TRAINER_ENDPOINTS lists 3 of them, but PADDLE_TRAINERS_NUM is 2",
        ),
        ({**WHOLE, "PADDLE_CURRENT_ENDPOINT": "127.0.0.1:7000"}, "which is not in PADDLE_TRAINER_ENDPOINTS"),
        (without("PADDLE_CURRENT_ENDPOINT"), "PADDLE_CURRENT_ENDPOINT is ''"),
        *(
            ({**WHOLE, "PADDLE_MASTER": text}, "PADDLE_MASTER is '")
            for text in ("", "None", "127.0.0.1", ":6170", "host:0", "host:65536", "etcd://10.0.0.1:2379", "a" * 5000)
        ),
        (without("PADDLE_MASTER", "PADDLE_TRAINER_ENDPOINTS"), "neither PADDLE_MASTER nor PADDLE_TRAINER_ENDPOINTS"),
        (without("PADDLE_MASTER", PADDLE_TRAINER_ENDPOINTS="a,b,127.0.0.1:6171"), "PADDLE_TRAINER_ENDPOINTS is 'a'"),
        ({**WHOLE, "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "x"}, "MASTER_ADDR:MASTER_PORT is '10.0.0.1:x'"),
        ({**WHOLE, "PADDLE_PG_TIMEOUT": "soon"}, "PADDLE_PG_TIMEOUT is 'soon'"),
        (without("PADDLE_TRAINER_ENDPOINTS", PADDLE_BACKUP_ENV_PATH="/nowhere/x.json"), "PADDLE_BACKUP_ENV_PATH is"),
    ],
)
def test_what_contradicts_itself_is_told_with_the_way_out(variables, wanted, named):
    variables(wanted)
    with pytest.raises(ConfigError) as caught:
        read_launch()
    told = str(caught.value)
    assert named in told and len(told) <= 480 and told.isprintable()
    assert told.endswith("unset " + " ".join(name for name in VARIABLES if name in wanted))


@pytest.mark.parametrize("content, whole", [(json.dumps(WHOLE), True), ("[]", False), ("{", False), ("{}", False)])
def test_a_large_job_has_its_addresses_in_a_file(variables, tmp_path, content, whole):
    (tmp_path / "backup.json").write_text(content)
    names = ["PADDLE_TRAINER_ENDPOINTS", "PADDLE_MASTER"]
    variables(without(*names, PADDLE_BACKUP_ENV_PATH=str(tmp_path / "backup.json")))
    if whole:
        assert read_launch() == Launch(1, 3, "127.0.0.1", 6170)
    else:
        with pytest.raises(ConfigError, match="unset PADDLE_TRAINERS_NUM"):
            read_launch()


def test_processes_that_are_no_ranks_get_nothing_of_a_launcher(variables):
    variables({**WHOLE, "OMP_NUM_THREADS": "1"})
    kept = plain_environment()
    assert not set(kept) & set(VARIABLES) and kept["OMP_NUM_THREADS"] == "1" and set(WHOLE) < set(VARIABLES)
