"""A Chinese page is its English page: sections, commands, tables, figures, names and links, and every link leads on."""

import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ernie_vil2.pages.markdown import anchor
from tests.conftest import ROOT

WANTED = ("data", "training", "finetuning", "benchmarks", "search", "deployment", "own_table")
"""Pages of docs/ that most users need, which docs/zh/ has as well."""
TOLERATED = {
    ("README_zh.md", "提取特征"): [
        "names: only in English: `text vector TAB image vector TAB 1`; only in Chinese: `文本向量 TAB 图像向量 TAB 1`"
    ],
}
"""{(Chinese page, its heading): differences, as they are told}: names that are words of a language."""
CHINESE = "[\u3400-\u9fff]"
BLANK = rf".{{0,9}}(?:{CHINESE}|[，。；：、]) (?=[{CHINESE[1:-1]}，。；：、]).{{0,9}}"
WESTERN = rf".{{0,9}}{CHINESE}[,;:?!](?= ?{CHINESE}).{{0,9}}"
ASTERISKS = rf"\*\*[^*\n]+[，。；：、）”]\*\*{CHINESE}"
"""Bold words that end in a sign of punctuation: what follows must be a blank for them to be bold."""
UNITS = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "万": 1e4, "亿": 1e8}
PAIRS = {"README_zh.md": "README.md"} | {
    f"docs/zh/{path.name}": f"docs/{path.name}" for path in sorted(ROOT.glob("docs/zh/*.md"))
}
FOLDERS = (ROOT, ROOT / "docs", ROOT / "docs/zh")
PAGES = sorted(path.relative_to(ROOT).as_posix() for folder in FOLDERS for path in folder.glob("*.md"))


@dataclass
class Section:
    """What stands between two headings: code, tables as rows of cells, and lines of prose with their numbers."""

    level: int
    title: str
    codes: list[list[str]] = field(default_factory=list)
    tables: list[list[list[str]]] = field(default_factory=list)
    prose: list[tuple[int, str]] = field(default_factory=list)

    @property
    def paragraphs(self) -> list[str]:
        """Paragraphs, headings apart, and items of lists, each on one line."""
        found: list[str] = []
        before = ""
        for _, line in self.prose:
            if line and (not before or item(line)):
                found.append(line.strip())
            elif line:
                found[-1] += " " + line.strip()
            before = line
        return found

    @property
    def text(self) -> str:
        return "\n".join([*self.paragraphs, *(" | ".join(row) for table in self.tables for row in table)])

    @property
    def names(self) -> set[str]:
        """What stands between backticks."""
        return {span for _, span in re.findall(r"(`+)(.+?)\1", self.text)}

    @property
    def links(self) -> list[str]:
        return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]+`", "`", self.text))


def item(line):
    return re.match(r"\s*([-*]|\d+\.) ", line)


def sections(text):
    """Sections of a page; comments of HTML say nothing to a reader. One before the first heading has level 0."""
    found, fence, in_table = [Section(0, "")], False, False
    hidden = re.sub(r"^<!--.*?-->", lambda match: "\n" * match[0].count("\n"), text, flags=re.MULTILINE | re.DOTALL)
    for number, line in enumerate(hidden.splitlines(), 1):
        here = found[-1]
        if line.lstrip().startswith("```"):
            fence = not fence
            here.prose.append((number, ""))
            if fence:
                here.codes.append([line.strip()])
        elif fence:
            here.codes[-1].append(line)
        elif match := re.match(r"(#+) (.*)", line):
            found.append(Section(len(match[1]), match[2].strip()))
        elif line.startswith("|"):
            if not in_table:
                here.tables.append([])
            here.tables[-1].append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
            here.prose.append((number, ""))
        else:
            here.prose.append((number, line))
        in_table = not fence and line.startswith("|")
    return found


def page(name):
    return sections((ROOT / name).read_text(encoding="utf-8"))


def typed(code):
    """Lines of a fenced block without comments and trailing blanks: what a reader would type."""
    return [line for line in (re.sub(r"(^|\s+)#.*", "", row).rstrip() for row in code) if line]


def numbers(text):
    """Counter of the numbers in digits outside of backticks and targets of links, units of thousands multiplied."""
    plain = re.sub(r"`[^`]+`|\]\([^)]*\)", "`", text)
    found = re.findall(rf"(\d+(?:[.,]\d+)*)(?: ?({'|'.join(UNITS)}))?", plain)
    return Counter(f"{float(digits.replace(',', '')) * UNITS[unit]:g}" if unit else digits for digits, unit in found)


def anchors(name):
    """Names by which links reach the headings of a page, by the rule of GitHub, in order."""
    seen, found = Counter(), []
    for section in page(name)[1:]:
        name = anchor(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", section.title))
        found.append(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found


def inside(name, target):
    """(path of what a link of a page leads to, from the root; the name of a heading there)."""
    path, _, heading = target.partition("#")
    return os.path.normpath(Path(name).parent / path) if path else name, heading


def leads_to(name, target):
    """A link as both languages have it: the English page, and which of its headings, where a translation is there."""
    if re.match(r"\w+:", target):
        return target
    path, heading = inside(name, target)
    english = PAIRS.get(path, re.sub(r"^docs/zh/", "docs/", path))
    translated = english not in [f"docs/{wanted}.md" for wanted in WANTED] or english in PAIRS.values()
    if not heading or not translated or not (ROOT / path).is_file():
        return english
    return f"{english}, heading {anchors(path).index(heading) + 1 if heading in anchors(path) else heading}"


def other_language(name):
    """Target of the link by which a page of a pair leads to the other one."""
    other = PAIRS.get(name) or next((chinese for chinese, english in PAIRS.items() if english == name), None)
    return other and os.path.relpath(other, Path(name).parent)


def only(kind, english, chinese):
    """Yields a line on what one of two collections has and the other has not."""
    left, right = Counter(english), Counter(chinese)
    if left != right:
        lacking, added = (" ".join(sorted(map(str, rest.elements()))) for rest in (left - right, right - left))
        yield f"{kind}: only in English: {lacking or '-'}; only in Chinese: {added or '-'}"


def table_differences(english, chinese):
    shapes = [[[len(row) for row in table] for table in side.tables] for side in (english, chinese)]
    if shapes[0] != shapes[1]:
        sizes = [[f"{len(table)} x {table[0]}" for table in side] for side in shapes]
        yield f"tables of {', '.join(sizes[0]) or 'none'} (rows x cells) in English, of {', '.join(sizes[1]) or 'none'}"
        return
    for number, (ours, theirs) in enumerate(zip(english.tables, chinese.tables, strict=True), 1):
        for row, (left, right) in enumerate(zip(ours, theirs, strict=True), 1):
            yield from only(f"table {number}, row {row}", numbers(" | ".join(left)), numbers(" | ".join(right)))


def differences(english_name, chinese_name, english, chinese):
    """Yields what differs in a section, by kind."""
    if english.level != chinese.level:
        yield f"level {english.level} in English, {chinese.level} in Chinese"
    ours, theirs = ([typed(code) for code in side.codes] for side in (english, chinese))
    if len(ours) != len(theirs):
        yield f"{len(ours)} blocks of code in English, {len(theirs)} in Chinese"
    for number, (left, right) in enumerate(zip(ours, theirs, strict=False), 1):
        yield from only(f"code {number}", [repr(line) for line in left], [repr(line) for line in right])
        if left != right and sorted(left) == sorted(right):
            yield f"code {number}: lines in another order"
    yield from table_differences(english, chinese)
    if len(english.paragraphs) != len(chinese.paragraphs):
        yield f"{len(english.paragraphs)} paragraphs and items in English, {len(chinese.paragraphs)} in Chinese"
    yield from only("numbers", numbers(" ".join(english.paragraphs)), numbers(" ".join(chinese.paragraphs)))
    yield from only("names", [f"`{name}`" for name in english.names], [f"`{name}`" for name in chinese.names])
    links = (
        [leads_to(name, target) for target in section.links if target != other_language(name)]
        for name, section in ((english_name, english), (chinese_name, chinese))
    )
    yield from only("links", *links)


def compared(chinese_name, english, chinese):
    """Lines on every section of two pages that differs."""
    english_name = PAIRS[chinese_name]
    if len(english) != len(chinese):
        outlines = ([f"{'#' * section.level} {section.title}" for section in side[1:]] for side in (english, chinese))
        return [f"{chinese_name} has other headings than {english_name}:", *map(" ".join, outlines)]
    return [
        f"{chinese_name}, section {number} “{right.title}” ({left.title}): {line}"
        for number, (left, right) in enumerate(zip(english, chinese, strict=True))
        for line in differences(english_name, chinese_name, left, right)
        if line not in TOLERATED.get((chinese_name, right.title), [])
    ]


def told(wrong):
    return "\n" + "\n".join(wrong)


@pytest.mark.parametrize("name", PAIRS)
def test_a_chinese_page_says_what_the_english_one_says(name):
    wrong = compared(name, page(PAIRS[name]), page(name))
    assert not wrong, told(wrong)


@pytest.mark.parametrize("name", PAIRS)
def test_both_pages_lead_to_each_other_in_their_first_lines(name):
    for here in (name, PAIRS[name]):
        head = (ROOT / here).read_text(encoding="utf-8").partition("\n## ")[0]
        assert f"]({other_language(here)})" in head, (
            f"{here} does not lead to {other_language(here)} above its sections"
        )


@pytest.mark.parametrize("name", PAIRS)
def test_a_sentence_in_chinese_is_not_broken(name):
    faults = {
        "a blank inside of a sentence": BLANK,
        "Western punctuation": WESTERN,
        "asterisks that are shown": ASTERISKS,
    }
    wrong = []
    for section in page(name):
        before = ""
        for number, line in section.prose:
            if line and before and not item(line):
                wrong.append(f"{name}:{number}: a line break, which is shown as a blank, before {line[:30]}")
            before = line
        for fault, pattern in faults.items():
            for match in re.finditer(pattern, re.sub(r"`[^`]+`", "`", section.text)):
                wrong.append(f"{name}, “{section.title}”: {fault}: {match[0]}")
    assert not wrong, told(wrong)


@pytest.mark.parametrize("name", PAIRS)
def test_comments_of_commands_are_chinese(name):
    comments = [
        comment
        for section in page(name)
        for code in section.codes
        for line in code[1:]
        for comment in re.findall(r"(?:^|\s)#\s.*", line)
    ]
    assert [comment for comment in comments if not re.search(CHINESE, comment)] == []


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name):
    wrong = []
    for section in page(name):
        for target in section.links:
            path, heading = inside(name, target)
            if re.match(r"\w+:", target) or path in [f"docs/zh/{wanted}.md" for wanted in WANTED if path not in PAIRS]:
                continue
            if not (ROOT / path).exists():
                wrong.append(f"{name}, “{section.title}”: {target} is not there")
            elif heading and heading not in anchors(path):
                wrong.append(f"{name}, “{section.title}”: {path} has no heading #{heading}")
    assert not wrong, told(wrong)


@pytest.mark.parametrize("name", PAGES)
def test_rows_of_a_table_have_the_cells_of_its_head(name):
    wrong = [
        f"{name}, “{section.title}”: {' | '.join(row)[:60]}"
        for section in page(name)
        for table in section.tables
        for row in table
        if len(row) != len(table[0])
    ]
    assert not wrong, told(wrong)


@pytest.mark.parametrize("name", [name for name in PAIRS if name.startswith("docs/zh/")])
def test_a_chinese_page_leads_to_chinese_pages(name):
    targets = [target for section in page(name) for target in section.links if target != other_language(name)]
    assert [target for target in targets if inside(name, target)[0] in [f"docs/{wanted}.md" for wanted in WANTED]] == []


def test_wanted_pages_are_translated_and_the_chinese_readme_leads_to_them():
    targets = {inside("README_zh.md", target)[0] for section in page("README_zh.md") for target in section.links}
    chinese = {f"docs/zh/{wanted}.md" for wanted in WANTED}
    lacking = [f"{name} is not there" for name in sorted(chinese - set(PAIRS))]
    unlinked = [f"README_zh.md does not lead to {name}" for name in sorted(chinese & set(PAIRS) - targets)]
    assert not lacking + unlinked, told(lacking + unlinked)
