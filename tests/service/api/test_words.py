"""The words of the page: the same in every language, all there, none too many."""

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tagbelt.service.api.pages import FOLDER

LANGUAGES = ("en", "zh")
TEMPLATE = Path(__file__).parents[3] / "tagbelt" / "commands" / "inspect.html"


def words_of(language):
    source = (FOLDER / f"{language}.js").read_text(encoding="utf-8")
    pairs = json.loads(
        re.search(rf"export const {language} = (\{{.*\}});", source, re.DOTALL)[1],
        object_pairs_hook=list,
    )
    twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    assert twice == []
    return dict(pairs)


WORDS = {language: words_of(language) for language in LANGUAGES}
PAGES = [FOLDER / "index.html", FOLDER / "docs.html", TEMPLATE]
SCRIPTS = [path for path in FOLDER.glob("*.js") if path.stem not in LANGUAGES]


class Marked(HTMLParser):
    """Collects [key, text] of what has words of its own, and of its attributes."""

    PLACES = {"data-t-label": "aria-label", "data-t-title": "title"} | {
        "data-t-placeholder": "placeholder"
    }

    def __init__(self):
        super().__init__()
        self.found = []
        self._open = None

    def handle_starttag(self, tag, attrs):  # noqa: ARG002
        given = dict(attrs)
        self.found += [[given[k], given.get(to)] for k, to in self.PLACES.items() if k in given]
        self._open = [given["data-t"], ""] if "data-t" in given else None

    def handle_data(self, data):
        if self._open:
            self._open[1] += data

    def handle_endtag(self, tag):  # noqa: ARG002
        if self._open:
            self.found.append(self._open)
        self._open = None


def marked(page):
    parser = Marked()
    parser.feed(page.read_text(encoding="utf-8"))
    assert parser.found
    return parser.found


def patterns_in(script):
    """Keys that a script uses, as patterns: `gate.${name}` may be any gate."""
    text = script.read_text(encoding="utf-8")
    plain = set(re.findall(r'"([a-z][\w.]*)"', text))
    made = {
        re.sub(r"\\\$\\\{.*?\\\}", "[^.]+", re.escape(one))
        for one in re.findall(r"`([a-z][\w.]*\.\$\{[^`]*\})`", text)
    }
    return plain | made


def placeholders(text):
    return set(re.findall(r"\{(\w+)", text))


def test_both_languages_have_the_same_keys_in_the_same_order():
    assert list(WORDS["en"]) == list(WORDS["zh"])
    assert all(text.strip() for words in WORDS.values() for text in words.values())


def test_both_languages_have_the_same_placeholders():
    english, chinese = (
        {k: placeholders(text) for k, text in WORDS[one].items()} for one in LANGUAGES
    )
    assert english == chinese


def test_chinese_is_chinese():
    foreign = {
        k for k, text in WORDS["zh"].items() if not re.search("[\u4e00-\u9fff]|^\\W*$", text)
    }
    assert foreign <= {"inside.gate.title"}  # a name alone


def test_every_key_is_used():
    used = {key for page in PAGES for key, _ in marked(page)}
    used |= set().union(*map(patterns_in, SCRIPTS))
    rule = re.compile("|".join(used))
    assert [key for key in WORDS["en"] if not rule.fullmatch(key)] == []


def test_every_key_that_is_asked_for_is_there():
    asked = {key for page in PAGES for key, _ in marked(page)}
    for script in SCRIPTS:
        text = script.read_text(encoding="utf-8")
        asked |= set(re.findall(r'\b(?:t|rich)\("([^"]+)"', text))
    assert asked <= WORDS["en"].keys()


@pytest.mark.parametrize("page", PAGES[:2], ids=lambda page: page.name)
def test_what_stands_in_the_page_is_what_the_english_words_say(page):
    for key, text in marked(page):
        assert text == WORDS["en"][key]
