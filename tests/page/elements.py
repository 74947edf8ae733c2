"""Elements of the page, chosen as a screen reader finds them: by role, and by the words that the page itself has."""

import base64
import json
import re
import urllib.request

from playwright.sync_api import expect

from tests.conftest import ROOT

WORDS = ROOT / "ernie_vil2" / "serving" / "page" / "words"


def said(key, language="en", **values):
    """Pattern of the words under a key: of each plural form, with what is not given in `values` left open."""
    texts = {}
    for part in ("words", "views"):
        texts |= json.loads((WORDS / f"{part}_{language}.json").read_text(encoding="utf-8"))
    forms = texts[key].values() if isinstance(texts[key], dict) else [texts[key]]

    def filled(match):
        return re.escape(str(values[match[1]])) if match[1] in values else ".*"

    patterns = (re.sub(r"\\{(\w*)\\}", filled, re.escape(form)) for form in forms)
    return re.compile(f"^(?:{'|'.join(patterns)})$", re.DOTALL)


def named(page, role, key, language="en", **values):
    """The elements of a role that are called by the words under a key."""
    return page.get_by_role(role, name=said(key, language, **values))


def box(page):
    """The search box."""
    return page.get_by_role("searchbox").first


def cards(page):
    """The pictures of the grid."""
    return page.get_by_role("grid").get_by_role("gridcell")


def card(page, name):
    """The card of a picture by its file's name, the first of several."""
    return page.get_by_role("grid").get_by_role("gridcell", name=name).first


def ids(page):
    """Ids of the pictures of the grid, in their order."""
    return [int(each) for each in cards(page).evaluate_all("cells => cells.map(cell => cell.dataset.id)")]


def names(page):
    """What the pictures of the grid are called, in their order."""
    return cards(page).evaluate_all("cells => cells.map(cell => cell.ariaLabel)")


def answered(page, what="/search"):
    """Context that ends when the server has answered an address with this in it."""
    return page.expect_response(lambda answer: what in answer.url)


def expect_ids(page, wanted):
    """Wait until the first pictures of the grid are these."""
    expect(cards(page).first).to_be_visible()
    page.wait_for_function(
        """wanted => {
            const cells = [...document.querySelectorAll("[role=grid] [role=gridcell]")].slice(0, wanted.length);
            return cells.map(cell => Number(cell.dataset.id)).join() === wanted.join();
        }""",
        arg=wanted,
    )


def ask(page, text):
    """Type a query into the box, and wait for its answer."""

    def fits(answer):
        if not answer.url.endswith("/search"):
            return False
        return any(part.get("text") == text for part in answer.request.post_data_json["parts"])

    with page.expect_response(fits):
        box(page).fill(text)


def type_fast(page, text):
    """Add letters to the box one by one, faster than the page asks on the slowest machine: all before it can."""
    box(page).evaluate(
        """(field, text) => {
            for (const letter of text) {
                field.value += letter;
                field.dispatchEvent(new InputEvent("input", { bubbles: true }));
            }
        }""",
        text,
    )


def api(server, path, body=None, language="en"):
    """The answer of the server to a request that does not come from the page."""
    headers = {"Accept-Language": language, "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(f"{server.address}/api/{path}", data, headers)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return json.load(answer)


def search(server, index, parts=(), **body):
    """Ids that the server finds."""
    answer = api(server, f"indexes/{index}/search", {"parts": list(parts), "k": 40, **body})
    return [hit["id"] for hit in answer["hits"]]


def hand_over(page, files, how="drop", to="main"):
    """Drop files on the page, or paste them: {name: (media type, bytes)}."""
    given = [[name, kind, base64.b64encode(data).decode()] for name, (kind, data) in files.items()]
    page.evaluate(
        """([files, how, to]) => {
            const transfer = new DataTransfer();
            for (const [name, type, data] of files) {
                const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
                transfer.items.add(new File([bytes], name, { type }));
            }
            const target = document.querySelector(to);
            const options = { bubbles: true, cancelable: true };
            if (how === "paste") {
                target.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, ...options }));
                return;
            }
            for (const name of ["dragenter", "dragover", "drop"]) {
                target.dispatchEvent(new DragEvent(name, { dataTransfer: transfer, ...options }));
            }
        }""",
        [given, how, to],
    )
