"""Rules of the views that need no server: what counts as one picture, moments of a film, labels as they are typed."""

import pytest

RUN = """async ([module, name, given]) => (await import(`/static/${module}.js`))[name](...given)"""


@pytest.fixture
def call(visit):
    """Function (module, name, arguments...) -> what a function of the page's modules returns."""
    page = visit("/")
    return lambda module, name, *given: page.evaluate(RUN, [module, name, list(given)])


def hits(*names, folder="a", **more):
    return [{"name": name, "folder": folder, "time": None, **more} for name in names]


def test_agreement_counts_files_whatever_their_order(call):
    left, right = hits("1.jpg", "2.jpg", "3.jpg", "4.jpg"), hits("3.jpg", "1.jpg", "5.jpg", "2.jpg")
    assert call("compare/agreement", "agreement", left, right, 4) == {"both": 3, "of": 4}
    assert call("compare/agreement", "agreement", right, left, 4) == {"both": 3, "of": 4}
    assert call("compare/agreement", "agreement", left, right, 2) == {"both": 1, "of": 2}
    assert call("compare/agreement", "agreement", left, [], 10) == {"both": 0, "of": 4}
    elsewhere = hits("1.jpg", "2.jpg", folder="b")
    assert call("compare/agreement", "agreement", left, elsewhere, 10) == {"both": 0, "of": 4}


def test_a_picture_found_twice_counts_once(call):
    twice = [*hits("1.jpg"), *hits("1.jpg"), *hits("2.jpg")]
    assert call("compare/agreement", "agreement", twice, twice, 10) == {"both": 2, "of": 2}


def test_moments_are_those_of_the_same_film_in_their_order(call):
    def moment(name, time, folder="a"):
        return {"name": f"{name}@{time}s", "folder": folder, "time": time, "video": True}

    own = moment("film.mp4", 61.5)
    found = [moment("film.mp4", 7), own, moment("other.mp4", 3), moment("film.mp4", 9, "b"), *hits("film.mp4@5s")]
    assert call("viewer/film", "moments", own, found) == [7, 61.5]
    assert call("viewer/film", "fileName", own) == "film.mp4"
    assert call("viewer/film", "fileName", {"name": "a@2s", "video": False}) == "a@2s"


@pytest.mark.parametrize(("seconds", "told"), [(0, "0:00"), (65.9, "1:05"), (3723, "1:02:03")])
def test_times_are_told_as_a_clock_does(call, seconds, told):
    assert call("viewer/film", "clock", seconds) == told


def test_labels_are_divided_by_lines_and_commas_of_either_script(call):
    typed = " cat, dog\n狗，猫、鸟\n\ncat；red car;  "
    assert call("viewer/labels", "labelsOf", typed) == ["cat", "dog", "狗", "猫", "鸟", "red car"]


def test_texts_of_a_picture_are_told_once_and_tags_apart(call):
    hit = {"caption": "一只猫", "tags": ["猫", "动物"], "texts": ["一只猫", "a cat", "猫", "动物"]}
    assert call("viewer/texts", "textsOf", hit) == {"captions": ["一只猫", "a cat"], "tags": ["猫", "动物"]}
    assert call("viewer/texts", "textsOf", {"caption": "", "tags": []}) == {"captions": [], "tags": []}
