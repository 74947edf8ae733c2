"""Chinese and English captions of a scene with paraphrase, and object tags as a noisy detector gives them.

A scene is a list of groups; a group is `count` copies of one shape in one colour, size and material (scene.py).
"""

from collections.abc import Sequence

import numpy as np

from .scene import Group, Scene
from .words import BACKGROUNDS, CHATTER, COLOURS, LANGUAGES, MATERIALS, NUMBERS, PLACES, RELATIONS, SHAPES, SIZES


def choose(rng: np.random.Generator, items: Sequence[str]) -> str:
    """One of `items`, the first half of the time: common words stay common."""
    if rng.random() < 0.5:
        return items[0]
    return items[int(rng.integers(len(items)))]


def phrase(group: Group, language: str, rng: np.random.Generator) -> str:
    """A noun phrase such as 两个小的红色条纹五角星; size and material are left out at times."""
    index = LANGUAGES.index(language)
    shape = choose(rng, SHAPES[group.shape][index])
    colour = choose(rng, COLOURS[group.colour][index])
    size = choose(rng, SIZES[group.size][index]) if rng.random() < 0.85 else ""
    material = MATERIALS[group.material]
    material = choose(rng, material[index]) if material and rng.random() < 0.8 else ""
    if language == "zh":
        colour = colour + "色" if material and len(colour) == 1 else colour
        return counted(group.count, [size, colour, material, shape], language)
    return counted(group.count, [word for word in (size, material, colour, shape) if word], language)


def relation(first: Group, second: Group) -> str | None:
    """How the first group lies to the second, for two single objects clearly apart in one direction; else None."""
    if first.count > 1 or second.count > 1:
        return None
    (top, left), (top2, left2) = first.cells[0], second.cells[0]
    if abs(left - left2) > abs(top - top2):
        return "left" if left < left2 else "right"
    if abs(top - top2) > abs(left - left2):
        return "above" if top < top2 else "below"
    return None


def listing(phrases: Sequence[str], language: str) -> str:
    """The phrases as one enumeration."""
    if len(phrases) == 1:
        return phrases[0]
    comma, last = ("、", "和") if language == "zh" else (", ", " and ")
    return comma.join(phrases[:-1]) + last + phrases[-1]


def placed(groups: Sequence[Group], phrases: Sequence[str], language: str) -> str:
    """The phrases as one enumeration that says where each single object is."""
    index = LANGUAGES.index(language)
    places = [PLACES[group.cells[0]][index] if group.count == 1 else "" for group in groups]
    if language == "en":
        pairs = zip(places, phrases, strict=True)
        return ", ".join(words + (f" at {place}" if place else "") for place, words in pairs)
    parts = []
    for number, (place, words) in enumerate(zip(places, phrases, strict=True)):
        parts.append((f"{place}有" if place else "还有" if number else "有") + words)
    return "，".join(parts)


def caption(scene: Scene, language: str, rng: np.random.Generator) -> str:
    """One caption; its form, order, words and left-out details depend on `rng`."""
    index = LANGUAGES.index(language)
    groups = [scene.groups[i] for i in rng.permutation(len(scene.groups))]
    phrases = [phrase(group, language, rng) for group in groups]
    background = choose(rng, BACKGROUNDS[scene.background][index])
    form = float(rng.random())
    how = relation(groups[0], groups[1])
    if form < 0.12 and how:
        text = (
            f"{phrases[0]}在{phrases[1]}的{RELATIONS[how][index]}"
            if language == "zh"
            else f"{phrases[0]} {RELATIONS[how][index]} {phrases[1]}"
        )
        if len(phrases) > 2:
            return text + ("，还有" if language == "zh" else ", and ") + phrases[2]
        return text + (f"，背景是{background}" if language == "zh" else f", on {background}")
    if form < 0.4:
        return placed(groups, phrases, language)
    if form < 0.92:
        where = placed(groups, phrases, language)
        return f"{background}上，{where}" if language == "zh" else f"on {background}: {where}"
    if language == "zh":
        return f"图中是{listing(phrases, language)}，背景是{background}"
    return f"a picture of {listing(phrases, language)}, the background is {background}"


def incomplete_caption(scene: Scene, language: str, rng: np.random.Generator) -> str:
    """A caption as people write them in passing: no sizes, materials and places, and some objects or colours missing.

    At least one object or the colour of one is left out, and at least one object is named.
    """
    index = LANGUAGES.index(language)
    order = rng.permutation(len(scene.groups))
    kept = int(rng.integers(1, len(order) + 1))
    coloured = rng.random(kept) < 0.6
    if kept == len(order):
        coloured[int(rng.integers(kept))] = False
    groups = [scene.groups[i] for i in order[:kept]]
    text = listing([brief_phrase(*pair, language, rng) for pair in zip(groups, coloured, strict=True)], language)
    if rng.random() < 0.7:
        return text
    background = choose(rng, BACKGROUNDS[scene.background][index])
    return f"{background}上的{text}" if language == "zh" else f"{text} on {background}"


def brief_phrase(group: Group, coloured: bool, language: str, rng: np.random.Generator) -> str:
    """A noun phrase of number, colour where wanted, and shape."""
    index = LANGUAGES.index(language)
    words = [choose(rng, COLOURS[group.colour][index])] if coloured else []
    words.append(choose(rng, SHAPES[group.shape][index]))
    return counted(group.count, words, language)


def counted(count: int, words: Sequence[str], language: str) -> str:
    """The words with their number in front, or with an article."""
    number = NUMBERS[count][LANGUAGES.index(language)]
    if language == "zh":
        return number + "".join(words)
    if count == 1:
        return ("an " if words[0][0] in "aeiou" else "a ") + " ".join(words)
    return number + " " + " ".join(words) + ("es" if words[-1].endswith(("s", "x")) else "s")


def chatter(language: str, rng: np.random.Generator) -> str:
    """A text that says nothing about the scene: file names and phrases that stand beside many pictures."""
    texts = CHATTER[LANGUAGES.index(language)]
    return texts[int(rng.integers(len(texts)))].format(int(rng.integers(10000)))


def tags(scene: Scene, language: str, rng: np.random.Generator) -> tuple[str, ...]:
    """Object tags by falling score as a detector gives them: one in ten missed, some wrong, duplicates left in."""
    index = LANGUAGES.index(language)
    found = []
    for group in scene.groups:
        for _ in group.cells:
            if rng.random() < 0.1:
                continue
            shape, colour = group.shape, group.colour
            if rng.random() < 0.05:
                shape = list(SHAPES)[int(rng.integers(len(SHAPES)))]
            if rng.random() < 0.05:
                colour = list(COLOURS)[int(rng.integers(len(COLOURS)))]
            joint = "" if language == "zh" else " "
            found.append((float(rng.random()), COLOURS[colour][index][0] + joint + SHAPES[shape][index][0]))
    if rng.random() < 0.8:
        found.append((float(rng.random()), BACKGROUNDS[scene.background][index][0]))
    return tuple(tag for _, tag in sorted(found, reverse=True))
