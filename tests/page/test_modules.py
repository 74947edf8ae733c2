"""What the page computes by itself, asked of its own modules in the browser: filters, addresses, shares, rows."""

import re

import pytest

from ernie_vil2.search.query.filter_terms import terms_of
from ernie_vil2.serving.api.page import page_files

VALUES = [
    "cat",
    "my cat",
    "a|b",
    'dog "x"',
    "back\\slash",
    "2021/上海 新",
    "-not",
    "a:b",
    "=1",
    "  two  blanks ",
    "*.png",
]


@pytest.fixture(scope="module")
def module(browser):
    """Function (module, expression of `it`, value) -> what the expression gives, with the value as `given`."""
    context = browser.new_context()
    context.route("**/*", send)
    page = context.new_page()
    page.goto("http://localhost/static/icon.svg")

    def asked(name, expression, given=None):
        code = f"async (given) => {{ const it = await import('/static/{name}'); return {expression}; }}"
        return page.evaluate(code, given)

    yield asked
    context.close()


def test_no_word_of_the_page_is_an_event_of_the_browser(module):
    """`select` was one: each field that marked its text told the whole page that something was chosen."""
    scripts = [file.body.decode() for name, file in page_files().items() if name.endswith(".js")]
    told = sorted({name for script in scripts for name in re.findall(r'\bemit\("([^"]+)"', script)})
    assert "open-picture" in told
    assert module("core/dom.js", "given.filter((name) => `on${name}` in document || `on${name}` in window)", told) == []


def send(route):
    """Answer a request with the file of the page that it asks for: no server is needed."""
    file = page_files()[route.request.url.partition("/static/")[2]]
    route.fulfill(body=file.body, content_type=file.media_type)


@pytest.mark.parametrize("value", VALUES)
def test_a_value_of_a_filter_is_read_by_the_server_as_it_was_chosen(module, value):
    term = module("search/filter_terms.js", 'it.termOf("tag", given)', [value, "other"])
    assert [one.values for one in terms_of(term)] == [(value, "other")]
    assert module("search/filter_terms.js", 'it.valuesFor(given, "tag")', f"width>=3 {term} -tag:no") == [
        value,
        "other",
    ]


def test_a_term_is_replaced_where_it_stands(module):
    script = "search/filter_terms.js"
    line = '-tag:"not mine" tag:cat|"my dog" width>=1000 video'
    assert module(script, 'it.replaced(given, "tag", "tag:bird")', line) == '-tag:"not mine" tag:bird width>=1000 video'
    assert module(script, 'it.replaced(given, "width", "")', line) == '-tag:"not mine" tag:cat|"my dog" video'
    assert module(script, 'it.replaced(given, "date", "date:2021")', line) == f"{line} date:2021"
    assert module(script, "it.termsOf(given).map((_, at) => it.without(given, at))", line) == [
        'tag:cat|"my dog" width>=1000 video',
        '-tag:"not mine" width>=1000 video',
        '-tag:"not mine" tag:cat|"my dog" video',
        '-tag:"not mine" tag:cat|"my dog" width>=1000',
    ]


def test_what_the_page_cannot_read_is_left_as_it_is(module):
    for line in ('tag:"open', "::", 'tag:"a"b|c', "§ x"):
        again = module("search/filter_terms.js", 'it.termsOf(given).map(({ raw }) => raw).join(" ")', line)
        assert again.split() == line.split()


def test_a_query_comes_back_from_its_address(module):
    query = {
        "view": "search",
        "index": "an index & more",
        "draft": "海 #1?",
        "minus": True,
        "parts": [
            {"text": "2*t:x", "weight": 1, "minus": False},
            {"text": "red", "weight": 0.5, "minus": True},
            {"id": 7, "index": "a:b", "name": "#7", "weight": 2, "minus": False},
        ],
        "filter": 'tag:"a b" width>=3',
        "threshold": 0.25,
        "of": "captions",
    }
    back = module("core/address.js", "it.readAddress(it.addressOf(given))", query)
    assert sorted(back.pop("parts"), key=str) == sorted(query.pop("parts"), key=str) and back == query
    named = module("core/address.js", 'it.readAddress("#/search?from=same").threshold')
    assert named == "same"


@pytest.mark.parametrize(
    "hash", ["", "#", "#/", "#/search?and=i:x:y&of=no&and=9999*t:x", "#/x?index=%ff&from=", "#key"]
)
def test_an_address_that_says_nothing_sensible_is_a_query_all_the_same(module, hash):
    query = module("core/address.js", "it.readAddress(given)", hash)
    assert query["of"] == "images" and all(0 < part["weight"] <= 10 for part in query["parts"])


def test_the_share_above_a_score_is_that_of_the_sample(module):
    quantiles = [place / 32 for place in range(33)]
    shares = module(
        "search/threshold.js",
        "given[1].map((one) => it.shareAbove(given[0], one))",
        [quantiles, [-1, 0, 0.25, 17 / 64, 1, 2]],
    )
    assert shares == pytest.approx([1, 1, 0.75, 47 / 64, 0, 0])
    equal = module("search/threshold.js", "[0.4, 0.5, 0.6].map((one) => it.shareAbove(given, one))", [0.5] * 33)
    assert equal == [1, 1, 0]


def test_every_picture_stands_in_one_row(module):
    sizes = [(4000, 3000), (0, 0), (100, 10_000), (10_000, 100), (3000, 4000)] * 9
    hits = [{"id": number, "width": width, "height": height} for number, (width, height) in enumerate(sizes)]
    rows = module("search/rows.js", "it.rowsOf(given, 1200, 196, 40)", hits)
    assert [one["hit"]["id"] for row in rows for one in row] == list(range(len(hits)))
    assert [one["position"] for row in rows for one in row] == list(range(40, 40 + len(hits)))
    ratios = module("search/rows.js", "given.map(it.ratioOf)", hits)
    widths = [sum(ratios[one["hit"]["id"]] * 196 + 8 for one in row) for row in rows]
    assert min(widths[:-1]) >= 1200 and max(widths) < 1200 + 2.4 * 196 + 8


def test_a_server_that_dies_within_an_answer_is_gone(module):
    """The head of the answer was there, so the page must not wait for ever."""
    told = module(
        "core/api.js",
        """await (async () => {
            const gone = [];
            document.addEventListener("server", ({ detail }) => gone.push(!detail.there));
            window.fetch = async () => ({ ok: true, status: 200, text: () => Promise.reject(new TypeError("cut")) });
            const error = await it.get("/api/indexes").catch((error) => error);
            return [error.code, error.status, gone.at(-1)];
        })()""",
    )
    assert told == ["gone", 0, True]
