"""The key of a server: read with care, shown by programs and by the page, and nothing that can be guessed."""

import asyncio
import logging

import pytest

from ernie_vil2.errors import ConfigError, UserError
from ernie_vil2.serving.guard import keys as module
from ernie_vil2.serving.guard.keys import Keys, read_key
from ernie_vil2.serving.refusals import Refusal
from tests.serving.guard.requests import code_of, scope_of

KEY = "0123456789abcdef-KEY"
ASKED = "/api/indexes"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Function (content, mode) -> path of a key file."""
    monkeypatch.delenv(module.VARIABLE, raising=False)

    def make(content, mode=0o600):
        path = tmp_path / "key.txt"
        path.write_bytes(content)
        path.chmod(mode)
        return path

    return make


@pytest.fixture
def at_once(monkeypatch):
    """Wrong keys are answered a moment later."""
    monkeypatch.setattr(module, "DELAY", 0.01)


def test_a_key_is_the_one_line_of_a_file(write, caplog):
    with caplog.at_level(logging.WARNING):
        assert read_key(write(f"\ufeff  {KEY} \r\n\n".encode())) == KEY
    assert not caplog.records


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_file_that_others_may_read_is_told(write, caplog, mode):
    assert read_key(write(KEY.encode(), mode)) == KEY
    assert "chmod 600" in caplog.text and KEY not in caplog.text


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no key"),
        (b" \n\n", "no key"),
        (b"short", "needs 16"),
        (f"{KEY}\n{KEY}\n".encode(), "2 lines"),
        (b"a key with blanks in it", "without blanks"),
        ("密钥密钥密钥密钥密钥密钥密钥密钥密钥".encode(), "plain letters"),
        (b"x" * 5000, "4,096 bytes"),
        (KEY.encode() + b"\0", "zero byte"),
    ],
)
def test_what_is_no_key_is_one_sentence(write, content, told):
    with pytest.raises(UserError, match=told) as caught:
        read_key(write(content))
    assert KEY not in str(caught.value) and "密" not in str(caught.value)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        read_key(tmp_path / "nowhere")


def test_the_environment_gives_a_key_where_no_file_does(write, monkeypatch):
    assert read_key(None) is None
    monkeypatch.setenv(module.VARIABLE, KEY)
    assert read_key(None) == KEY and read_key(write(b"another-key-of-a-file")) == "another-key-of-a-file"
    monkeypatch.setenv(module.VARIABLE, "")
    with pytest.raises(ConfigError, match=module.VARIABLE):
        read_key(None)


@pytest.mark.parametrize("path", ["/", "/health", "/ready", "/static/main.js", "/api/session"])
def test_the_page_itself_needs_no_key(path):
    assert code_of(Keys(KEY).check, scope_of(path=path)) is None


@pytest.mark.parametrize("path", [ASKED, "/metrics", "/api/session/", "/api", "/nowhere", "/static", "/API/session"])
def test_all_else_does(path):
    assert code_of(Keys(KEY).check, scope_of(path=path)) == "needs_key"
    assert code_of(Keys().check, scope_of(path=path)) is None


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_program_shows_it_as_a_bearer(scheme):
    assert code_of(Keys(KEY).check, scope_of(path=ASKED, authorization=f"{scheme} {KEY}")) is None


@pytest.mark.parametrize("shown", ["", KEY[:-1], KEY + "x", KEY.lower(), "\xff" * 20, "x" * 9000])
def test_a_wrong_bearer_is_refused(shown, at_once):
    assert code_of(Keys(KEY).check, scope_of(path=ASKED, authorization=f"Bearer {shown}")) == "wrong_key"


@pytest.mark.parametrize("shown", [KEY, f"Basic {KEY}", f"Bearer{KEY}"])
def test_other_schemes_show_nothing(shown):
    assert code_of(Keys(KEY).check, scope_of(path=ASKED, authorization=shown)) == "needs_key"


def test_a_cookie_is_not_the_key_and_ends_with_the_process():
    keys, later = Keys(KEY), Keys(KEY)
    pair, *properties = keys.begin(scope_of()).split("; ")
    assert KEY not in pair and properties == ["HttpOnly", "SameSite=Strict", "Path=/"]
    assert code_of(keys.check, scope_of(path=ASKED, cookie=f"a=b; {pair}")) is None
    assert code_of(later.check, scope_of(path=ASKED, cookie=pair)) == "needs_key"
    assert code_of(keys.check, scope_of(path=ASKED, cookie=f"{pair}x")) == "needs_key"
    assert code_of(keys.check, scope_of(path=ASKED, authorization=f"Bearer {pair.partition('=')[2]}")) == "wrong_key"


def test_a_session_that_was_signed_out_opens_nothing_and_others_go_on():
    keys = Keys(KEY)
    first, second = (keys.begin(scope_of()).partition(";")[0] for _ in range(2))
    assert first != second
    assert keys.end(scope_of(cookie="ernie_vil2_8765=x")) and keys.end(scope_of())
    assert code_of(keys.check, scope_of(path=ASKED, cookie=first)) is None
    keys.end(scope_of(cookie=first))
    assert code_of(keys.check, scope_of(path=ASKED, cookie=first)) == "needs_key"
    assert code_of(keys.check, scope_of(path=ASKED, cookie=second)) is None


def test_sessions_are_bounded(monkeypatch):
    monkeypatch.setattr(module, "MOST_SESSIONS", 3)
    keys = Keys(KEY)
    pairs = [keys.begin(scope_of()).partition(";")[0] for _ in range(5)]
    told = [code_of(keys.check, scope_of(path=ASKED, cookie=pair)) for pair in pairs]
    assert told == ["needs_key"] * 2 + [None] * 3


@pytest.mark.parametrize("other", ['a={"b":1}', "a", "é=1", "a[0]=1", "a='1 2'", "a=1, 2", 'a="1', "=", "a=1\x01"])
def test_cookies_of_other_servers_of_the_host_are_passed_over(other):
    keys = Keys(KEY)
    pair = keys.begin(scope_of()).partition(";")[0]
    for cookie in (f"{other}; {pair}", f"{pair}; {other}", [other, pair]):
        assert code_of(keys.check, scope_of(path=ASKED, cookie=cookie)) is None


def test_servers_of_one_host_have_cookies_of_their_own():
    keys = Keys(KEY)
    names = {keys.begin(scope_of(server=("127.0.0.1", port))).partition("=")[0] for port in (8765, 8766)}
    assert len(names) == 2


def test_over_https_the_cookie_stays_there():
    assert only_https(Keys(KEY).begin(scope_of(scheme="https"))) and not only_https(Keys(KEY).begin(scope_of()))
    assert "Max-Age=0" in Keys(KEY).end(scope_of())


def only_https(cookie):
    return cookie.endswith("; Secure")


@pytest.mark.parametrize("cookie", ["", ";;;", "\xff=\xff", "a" * 20_000, '="', "ernie_vil2_8765=", "ernie_vil2_8765"])
def test_broken_cookies_show_nothing(cookie):
    assert code_of(Keys(KEY).check, scope_of(path=ASKED, cookie=cookie)) == "needs_key"


def test_wrong_keys_wait_and_right_ones_do_not(monkeypatch):
    monkeypatch.setattr(module, "DELAY", 600)
    keys, wrong = Keys(KEY), scope_of(path=ASKED, authorization="Bearer wrong")

    async def code(scope):
        try:
            await keys.check(scope)
        except Refusal as refusal:
            return refusal.code

    async def tried():
        guesses = [asyncio.create_task(code(wrong)) for _ in range(3 * module.MOST_DELAYED)]
        await asyncio.sleep(0.05)
        right = await code(scope_of(path=ASKED, authorization=f"Bearer {KEY}"))
        return right, [task.result() if task.done() else "waits" for task in guesses]

    right, told = asyncio.run(tried())
    assert right is None
    assert told == ["waits"] * module.MOST_DELAYED + ["busy"] * 2 * module.MOST_DELAYED
