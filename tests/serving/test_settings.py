"""Settings of a server: what cannot be is one sentence before anything is opened."""

import socket
import threading

import pytest

from ernie_vil2.cli.main import dispatch
from ernie_vil2.cli.serve import told_address
from ernie_vil2.errors import ConfigError
from ernie_vil2.serving.binding import PortInUse, address_of, bound_socket
from ernie_vil2.serving.settings import ServerSettings
from tests.serving.running import LONGEST, until

WRONG = {
    "port is -1": {"port": -1},
    "port is 65536": {"port": 65536},
    "queue is 0": {"queue": 0},
    "threads is -1": {"threads": -1},
    "page_hits is 0": {"page_hits": 0},
    "a key is needed; give --key-file": {"host": "0.0.0.0"},
    "host 'example.org' can be reached": {"host": "example.org"},
    "host '::' can be reached": {"host": "::"},
}


@pytest.mark.parametrize("told", WRONG)
def test_what_cannot_be_is_one_sentence(told, tmp_path):
    with pytest.raises(ConfigError) as found:
        ServerSettings(tmp_path, **WRONG[told])
    assert told in str(found.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_needs_no_key(host, tmp_path):
    assert ServerSettings(tmp_path, host).shows_paths


def test_a_key_or_public_lets_others_ask_who_are_told_no_paths(tmp_path):
    for settings in ({"key": "k" * 20}, {"public": True}):
        assert not ServerSettings(tmp_path, "0.0.0.0", **settings).shows_paths
    assert not ServerSettings(tmp_path, public=True).shows_paths
    assert "secret" not in repr(ServerSettings(tmp_path, key="secret"))


def test_a_port_that_is_taken_is_told_or_the_next_one_is_taken():
    with bound_socket("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(PortInUse, match=f"port {port}: another program listens there; end it, or choose another"):
            bound_socket("127.0.0.1", port)
        with bound_socket("127.0.0.1", port, or_next=True) as second:
            assert port < second.getsockname()[1] <= port + 10


def test_a_port_is_free_again_after_its_server():
    with bound_socket("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        first.accept()[0].close()
    client.close()
    bound_socket("127.0.0.1", port).close()


@pytest.mark.parametrize(
    ("host", "told"),
    [("no such host", "is not known here"), ("x" * 300, "is not known here"), ("192.0.2.1", "has no such address")],
)
def test_hosts_that_are_not_of_this_machine(host, told):
    with pytest.raises(ConfigError, match=told):
        bound_socket(host, 0)


def test_addresses_are_those_that_a_browser_here_takes():
    for host, named in {"127.0.0.1": "127.0.0.1", "0.0.0.0": "127.0.0.1", "localhost": "127.0.0.1"}.items():
        with bound_socket(host, 0) as bound:
            assert address_of(bound) == f"http://{named}:{bound.getsockname()[1]}/"


def test_the_command_refuses_before_it_loads_anything(indexes, monkeypatch, tmp_path):
    def never(*given):
        raise AssertionError("something was loaded")

    monkeypatch.setattr("ernie_vil2.serving.server.import_paddle", never)
    monkeypatch.delenv("ERNIE_VIL2_KEY", raising=False)
    with bound_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        for arguments, told in {
            f"{tmp_path / 'nope'}": "No such file",
            f"{indexes} --host 0.0.0.0": "a key is needed",
            f"{indexes} --port {port}": "another program listens there",
            f"{indexes} --host 192.0.2.1 --public": "no such address",
            f"{indexes} --key-file {tmp_path / 'nope'}": "nope",
        }.items():
            with pytest.raises(ConfigError, match=told):
                dispatch(["serve", *arguments.split()])


def test_the_page_is_opened_beside_the_server(monkeypatch, capsys, tmp_path):
    """A browser in the terminal returns when it is left: the server does not wait for it."""
    left, asked = threading.Event(), []
    monkeypatch.setattr("webbrowser.open", lambda address: asked.append(address) or left.wait(LONGEST) and False)
    told_address(tmp_path, True)("http://127.0.0.1:1/")
    assert f"{tmp_path}: http://127.0.0.1:1/ (Ctrl-C ends the server)\n" == capsys.readouterr().err
    left.set()
    said = []
    until(lambda: said.append(capsys.readouterr().err) or "no browser could be opened" in "".join(said))
    assert asked == ["http://127.0.0.1:1/"]
    told_address(tmp_path, False)("http://127.0.0.1:1/")
    assert len(asked) == 1
