"""Downloads from a server that truncates, stalls and lies: the final file is bit-equal or absent; errors say why."""

import hashlib
import json
import random
import re
import urllib.request
from collections import namedtuple

import pytest

from ernie_vil2.checkpoints.download import catalogue, http_file
from ernie_vil2.checkpoints.download.catalogue import Published
from ernie_vil2.checkpoints.download.download import download
from ernie_vil2.checkpoints.download.http_file import Limits, Refused, SafeRedirects
from ernie_vil2.errors import CheckpointError
from tests.checkpoints.download.http_server import Reply, running

NAME, FILE = "small", "small.pdparams"
CONTENT = b"\x80\x04" + bytes(range(256)) * 4000 + b"."
OTHER = b"\x80\x04" + bytes(reversed(range(256))) * 4000 + b"."
QUICK = Limits(timeout=20, attempts=3, pause=0.0)
IMPATIENT = Limits(timeout=0.3, attempts=2, pause=0.0)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("ERNIE_VIL2_MIRRORS", raising=False)
    with running() as server:
        yield server


@pytest.fixture
def published(monkeypatch):
    """Function (*urls, checksums=()) that makes `small` a name of one file at these addresses."""

    def publish(*urls, checksums=()):
        monkeypatch.setitem(catalogue.CATALOGUE, NAME, (Published(FILE, urls, checksums),))

    return publish


@pytest.fixture
def fetch(tmp_path):
    """Function (**options) -> (bytes of the file, output) of a download of `small` below tmp_path."""

    def run(limits=QUICK, **options):
        lines = []
        folder = download(NAME, tmp_path, limits=limits, tell=lines.append, **options)
        assert not list(folder.glob("*.part*"))
        return (folder / FILE).read_bytes(), "\n".join(lines)

    return run


@pytest.fixture
def failed(tmp_path, fetch):
    """Function (**options) -> the sentence of a download that must fail and leave no file of the final name."""

    def run(**options):
        with pytest.raises(CheckpointError) as caught:
            fetch(**options)
        assert not (tmp_path / NAME / FILE).exists()
        assert len(str(caught.value).splitlines()) == 1
        return caught.value.sentence()

    return run


def digest(content, kind="sha256"):
    return hashlib.new(kind, content).hexdigest()


def test_a_file_is_fetched_once_recorded_and_then_needs_no_network(server, published, fetch, tmp_path):
    server.serve("/a", CONTENT)
    published(server.url + "/a")
    content, output = fetch()
    assert content == CONTENT and "recorded now, not verified against a published checksum" in output
    assert "compare the SHA-256" in output
    record = json.loads((tmp_path / NAME / "checksums.json").read_text())[FILE]
    assert (record["sha256"], record["bytes"], record["url"]) == (digest(CONTENT), len(CONTENT), server.url + "/a")
    for offline in (False, True):
        content, output = fetch(offline=offline)
        assert content == CONTENT and "as recorded on" in output
    assert len(server.requests) == 1


ONCE = {
    "cut": Reply(sent=100_000),
    "cut at once": Reply(sent=0),
    "cut, in chunks": Reply(sent=100_000, chunked=True),
    "busy": Reply(status=503),
    "too long a length": Reply(length=len(CONTENT) + 10),
}


@pytest.mark.parametrize("reply", ONCE.values(), ids=ONCE)
@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
@pytest.mark.parametrize("tag", ['"1"', None, 'W/"1"'], ids=["tag", "no tag", "weak tag"])
def test_what_happens_once_is_overcome(server, published, fetch, reply, ranges, tag):
    first = Reply(**{**vars(reply), "tag": tag})
    server.serve("/a", CONTENT, first, Reply(tag=tag, ranges=ranges))
    published(server.url + "/a")
    assert fetch()[0] == CONTENT
    resumed = [span for span in server.ranges() if span]
    assert bool(resumed) == (tag == '"1"' and bool(first.sent or first.length > 0))
    if first.sent == 100_000 and resumed:
        assert resumed == ["bytes=100000-"]


def test_a_server_that_always_cuts_is_read_in_pieces(server, published, fetch):
    server.serve("/a", CONTENT, Reply(sent=100_000))
    published(server.url + "/a")
    assert fetch()[0] == CONTENT
    assert len(server.requests) == -(-len(CONTENT) // 100_000) > QUICK.attempts


def test_a_cut_without_ranges_goes_on_at_the_next_address(server, published, fetch, failed):
    server.serve("/a", CONTENT, Reply(sent=100_000, ranges=False))
    published(server.url + "/a")
    assert "ends at 100,000 of 1,024,003 bytes" in failed()
    server.serve("/b", CONTENT)
    published(server.url + "/a", server.url + "/b")
    assert fetch()[0] == CONTENT


def test_a_stalling_server_is_left(server, published, fetch, failed, tmp_path):
    server.serve("/a", CONTENT, Reply(sent=100_000, then_stall=True), Reply(sent=0, then_stall=True))
    published(server.url + "/a")
    assert "stalls" in failed(limits=IMPATIENT)
    part = next((tmp_path / NAME).glob("*.part"))
    assert part.read_bytes() == CONTENT[:100_000]
    server.serve("/a", CONTENT)
    assert fetch()[0] == CONTENT and server.ranges()[-1] == "bytes=100000-"


@pytest.mark.parametrize(("heeds", "named"), [(True, True), (False, True), (True, False)])
def test_what_changed_between_is_not_joined(server, published, fetch, heeds, named):
    server.serve("/a", OTHER, Reply(body=CONTENT, sent=100_000), Reply(tag='"2"', heeds=heeds, named=named))
    published(server.url + "/a")
    assert fetch()[0] == OTHER
    assert server.ranges()[1] == "bytes=100000-"


@pytest.mark.parametrize("span", ["bytes 5-9/1024003", "bytes 0-1024002/1024003", "bytes 100000-1024002/9", "nonsense"])
def test_another_part_than_the_one_asked_for_is_not_joined(server, published, fetch, span):
    server.serve("/a", CONTENT, Reply(sent=100_000), Reply(span=span), Reply())
    published(server.url + "/a")
    assert fetch()[0] == CONTENT


def test_nothing_after_the_end_means_whole(server, published, fetch):
    """All chunks but the closing one arrive, so that only the 416 of the next request tells that it was all."""
    server.serve("/a", CONTENT, Reply(chunked=True, sent=len(CONTENT)), Reply())
    published(server.url + "/a")
    assert fetch()[0] == CONTENT
    assert server.ranges() == [None, f"bytes={len(CONTENT)}-"]


@pytest.mark.parametrize(("old", "tag"), [(CONTENT + b"more.", '"1"'), (OTHER, '"2"')], ids=["length", "tag"])
def test_an_end_of_another_file_does_not_mean_whole(server, published, fetch, old, tag):
    server.serve("/a", CONTENT, Reply(body=old, chunked=True, sent=len(old)), Reply(tag=tag, heeds=False))
    published(server.url + "/a")
    assert fetch()[0] == CONTENT


def test_a_length_that_is_never_reached_is_an_error(server, published, failed):
    server.serve("/a", CONTENT, Reply(length=len(CONTENT) + 10))
    published(server.url + "/a")
    assert re.search("said that the file is longer|ends at 1,024,003 of 1,024,013 bytes", failed())


PAGE = b"  <!DOCTYPE html><title>Sign in</title>" + b" " * 3000
LIES = {
    "web page": (Reply(body=b"Sign in", headers={"Content-Type": "text/html; charset=utf-8"}), "web page"),
    "web page as a file": (Reply(body=PAGE), "web page"),
    "markup": (Reply(body=b"<Error>no such key</Error>"), "web page"),
    "other content": (Reply(body=b"{}"), "does not begin and end as a .pdparams does"),
    "shorter length": (Reply(length=5000), "does not begin and end as a .pdparams does"),
    "nothing": (Reply(body=b""), "is empty"),
    "compressed": (Reply(headers={"Content-Encoding": "gzip"}), "gzip"),
    "no length": (Reply(length=None), "does not say how long"),
    "too much": (Reply(chunked=True), "more than the limit"),
    "too much, as it says": (Reply(), "over the limit"),
    "absent": (Reply(status=404, reason="\x1b[2JGone\x07"), "HTTP 404"),
    "forbidden": (Reply(status=403), "HTTP 403"),
    "to a file": (Reply(status=302, headers={"Location": "file:///etc/hostname"}), "file:///etc/hostname"),
    "to ftp": (Reply(status=307, headers={"Location": "ftp://127.0.0.1/a"}), "ftp://"),
    "in circles": (Reply(status=301, headers={"Location": "/a"}), "HTTP 301"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_refused_and_the_next_address_is_asked(server, published, fetch, failed, tmp_path, lie):
    reply, reason = LIES[lie]
    limits = Limits(timeout=20, attempts=2, pause=0.0, size=1_000_000 if "too much" in lie else 2_000_000)
    server.serve("/a", CONTENT, reply)
    published(server.url + "/a")
    sentence = failed(limits=limits)
    assert reason in sentence and f"{server.url}/a" in sentence and sentence.isprintable()
    assert not list((tmp_path / NAME).glob("*.part"))
    server.serve("/b", CONTENT)
    published(server.url + "/a", server.url + "/b")
    assert fetch()[0] == CONTENT


def test_a_file_that_drips_is_a_stall(server, published, failed):
    server.serve("/a", CONTENT, Reply(drips=True))
    published(server.url + "/a")
    assert re.search(r"stalls: \d+ bytes", failed(limits=Limits(timeout=0.2, attempts=1)))


def test_a_plain_redirect_is_followed_but_not_from_https_to_http(server, published, fetch):
    server.serve("/a", CONTENT, Reply(status=302, headers={"Location": "/b"}))
    server.serve("/b", CONTENT)
    published(server.url + "/a")
    assert fetch()[0] == CONTENT
    with pytest.raises(Refused, match="not followed"):
        SafeRedirects().redirect_request(
            urllib.request.Request("https://host/a"), None, 302, "Found", {}, "http://host/a"
        )


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_pieces_that_do_not_fit_are_fetched_again(server, published, fetch, kind):
    """A server that calls two contents by one name; the checksum tells, and the same address gets a second chance."""
    server.serve("/a", CONTENT, Reply(body=OTHER, sent=100_000), Reply())
    published(server.url + "/a", checksums=(digest(CONTENT, kind),))
    content, output = fetch()
    assert content == CONTENT and "do not fit together" in output


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_a_published_checksum_decides(server, published, fetch, failed, kind):
    server.serve("/a", OTHER)
    server.serve("/b", CONTENT)
    published(server.url + "/a", checksums=(digest(CONTENT, kind),))
    sentence = failed()
    assert digest(CONTENT, kind) in sentence and digest(OTHER, kind) in sentence
    published(server.url + "/a", server.url + "/b", checksums=(digest(CONTENT, kind),))
    content, output = fetch()
    assert content == CONTENT and "the published" in output and "not verified" not in output


def test_each_of_two_published_contents_is_right(server, published, fetch, tmp_path):
    server.serve("/a", CONTENT)
    published(server.url + "/a", checksums=(digest(OTHER, "md5"), digest(CONTENT, "md5")))
    fetch()
    (tmp_path / NAME / FILE).write_bytes(OTHER)
    assert fetch()[0] == OTHER
    assert json.loads((tmp_path / NAME / "checksums.json").read_text())[FILE]["sha256"] == digest(OTHER)


def test_a_checksum_of_the_user_decides(server, published, fetch, failed):
    server.serve("/a", CONTENT)
    published(server.url + "/a")
    sentence = failed(sha256=digest(OTHER))
    assert digest(CONTENT) in sentence and digest(OTHER) in sentence
    assert "64 hexadecimal digits" in failed(sha256="abc")
    assert "as asked for" in fetch(sha256=digest(CONTENT).upper())[1]
    with pytest.raises(CheckpointError, match=digest(OTHER)):
        fetch(sha256=digest(OTHER))


def test_without_a_length_a_known_checksum_is_enough(server, published, fetch):
    server.serve("/a", CONTENT, Reply(length=None))
    published(server.url + "/a")
    assert fetch(sha256=digest(CONTENT))[0] == CONTENT


@pytest.mark.parametrize("offline", [True, False])
def test_a_file_that_changed_later_is_noticed_and_left_alone(server, published, fetch, tmp_path, offline):
    server.serve("/a", CONTENT)
    published(server.url + "/a")
    fetch()
    path = tmp_path / NAME / FILE
    path.write_bytes(OTHER)
    with pytest.raises(CheckpointError) as caught:
        fetch(offline=offline)
    assert digest(CONTENT) in str(caught.value) and digest(OTHER) in str(caught.value)
    assert path.read_bytes() == OTHER and len(server.requests) == 1


def test_a_file_that_changed_at_the_publisher_is_noticed(server, published, fetch, failed, tmp_path):
    server.serve("/a", CONTENT)
    published(server.url + "/a")
    fetch()
    (tmp_path / NAME / FILE).unlink()
    server.serve("/a", OTHER)
    sentence = failed()
    assert digest(CONTENT) in sentence and digest(OTHER) in sentence and "checksums.json" in sentence


def test_a_file_copied_by_hand_is_recorded_and_a_cut_one_is_not(server, published, fetch, tmp_path):
    published(server.url + "/a")
    path = tmp_path / NAME / FILE
    path.parent.mkdir()
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(CheckpointError, match="does not begin and end"):
        fetch(offline=True)
    assert not (path.parent / "checksums.json").exists()
    path.write_bytes(CONTENT)
    assert "recorded now, not verified" in fetch(offline=True)[1]
    assert "as recorded on" in fetch(offline=True)[1]
    assert server.requests == []


def test_offline_asks_nothing_and_makes_nothing(server, published, failed, tmp_path):
    server.serve("/a", CONTENT)
    published(server.url + "/a")
    assert "copy it there" in failed(offline=True)
    assert server.requests == [] and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"small.pdparams": 3}', '{"small.pdparams": {"sha256": "x"}}'])
def test_a_damaged_record_is_an_error(server, published, failed, tmp_path, text):
    published(server.url + "/a")
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "checksums.json").write_text(text)
    assert "checksums.json is damaged" in failed()


def test_mirrors_come_first_and_every_failure_is_told(server, published, fetch, tmp_path, monkeypatch):
    published(server.url + "/origin/a")
    monkeypatch.setenv("ERNIE_VIL2_MIRRORS", f"{server.url}/second {server.url}/third/,")
    lines = []
    with pytest.raises(CheckpointError, match="answers HTTP 404.*run the same command again"):
        download(NAME, tmp_path, limits=QUICK, tell=lines.append, mirrors=[server.url + "/first"])
    tried = [f"/{base}/{path}" for base in ("first", "second", "third") for path in (f"{NAME}/{FILE}", FILE)]
    assert [path for path, _ in server.requests] == [*tried, "/origin/a"]
    told = "\n".join(lines)
    assert all(f"note: {server.url}{path} answers HTTP 404" in told for path in [*tried, "/origin/a"])
    server.serve(f"/second/{FILE}", CONTENT)
    assert fetch()[0] == CONTENT


def test_a_folder_of_downloads_is_a_mirror_and_plain_names_must_be_unambiguous(server, failed, fetch, monkeypatch):
    file = Published(FILE, (f"{server.url}/x",))
    monkeypatch.setitem(catalogue.CATALOGUE, NAME, (file,))
    monkeypatch.setitem(catalogue.CATALOGUE, "another", (Published(FILE, (f"{server.url}/y",)),))
    server.serve(f"/m/{FILE}", OTHER)
    failed(mirrors=[server.url + "/m"])
    server.serve(f"/m/{NAME}/{FILE}", CONTENT)
    assert fetch(mirrors=[server.url + "/m"])[0] == CONTENT


@pytest.mark.parametrize(
    "mirror",
    [
        "file:///tmp",
        "ftp://host/a",
        "host/a",
        "https://",
        "https://me:secret@host/a",
        "http://[",
        "http://h/a?b",
        "http://h/\n",
        "http://h\u00f6st/",
    ],
)
def test_an_unusable_mirror_is_a_sentence(published, failed, mirror):
    published("http://127.0.0.1:9/a")
    sentence = failed(mirrors=[mirror])
    assert "mirror" in sentence and "secret" not in sentence


def test_a_full_disk_is_noticed_before_anything_is_written(server, published, failed, monkeypatch, tmp_path):
    server.serve("/a", CONTENT)
    published(server.url + "/a", server.url + "/b")
    usage = namedtuple("usage", "total used free")(10**9, 10**9 - 5000, 5000)
    monkeypatch.setattr(http_file.shutil, "disk_usage", lambda path: usage)
    assert "offers 1,024,003 bytes where the disk has 5,000 free" in failed()
    assert len(server.requests) == 2 and not list((tmp_path / NAME).glob("*.part"))


BAD = [
    *ONCE.values(),
    *(reply for reply, _ in LIES.values()),
    Reply(body=OTHER),
    Reply(body=OTHER, sent=9),
    Reply(sent=500_000, tag='"2"', heeds=False),
    Reply(sent=7, ranges=False),
    Reply(span="bytes 1-2/3"),
]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_a_server_does_the_file_is_equal_or_absent(server, published, fetch, tmp_path, seed):
    rng = random.Random(seed)
    replies = [*rng.choices(BAD, k=rng.randint(2, 8)), Reply()]
    server.serve("/a", CONTENT, *replies)
    published(server.url + "/a", checksums=(digest(CONTENT, "md5"),))
    for _ in range(2 * len(replies)):
        try:
            fetch(limits=Limits(timeout=20, attempts=rng.randint(1, 3), pause=0.0))
            break
        except CheckpointError:
            assert not (tmp_path / NAME / FILE).exists()
    assert (tmp_path / NAME / FILE).read_bytes() == CONTENT
