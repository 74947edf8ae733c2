"""Names that a server goes by: a rebound name of elsewhere is none of them."""

import socket

import pytest

from ernie_vil2.serving.guard.hosts import Hosts
from tests.serving.guard.requests import code_of, scope_of

OWN = ("127.0.0.1", "127.0.0.1:8765", "10.1.2.3:80", "[::1]", "[::1]:8765", "localhost", "LOCALHOST:1", "localhost.:9")
OTHERS = (
    "evil.example",
    "evil.example:8765",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "127.0.0.1.nip.io",
    "evil.example@127.0.0.1",
    "127.0.0.1@evil.example",
    "127.0.0.1,evil.example",
    "127.0.0.1 evil.example",
    "127.0.0.1:x",
    "127.0.0.1:123456",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "[::1",
    "[evil.example]",
    "localhost/",
    "localhost#",
    "lоcalhost".encode().decode("latin-1"),
    ":8765",
    "",
)


@pytest.mark.parametrize("host", OWN)
def test_its_addresses_and_localhost_pass(host):
    assert code_of(Hosts().check, scope_of(host=host)) is None


@pytest.mark.parametrize("host", OTHERS)
def test_any_other_name_is_refused(host):
    assert code_of(Hosts().check, scope_of(host=host)) == "wrong_host"


def test_one_host_and_no_more():
    assert code_of(Hosts().check, scope_of(host=["localhost", "localhost"])) == "wrong_host"
    assert code_of(Hosts().check, scope_of(host=[])) == "wrong_host"


def test_its_own_and_given_names_pass():
    hosts = Hosts(("Pictures.Example.", "box"))
    for name in (socket.gethostname(), f"{socket.gethostname().partition('.')[0]}.local", "pictures.example", "box:99"):
        assert hosts.known(name)
    assert not hosts.known("example") and not hosts.known("a.pictures.example")
