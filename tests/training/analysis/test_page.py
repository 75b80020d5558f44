import html
import re

from hypothesis import given
from hypothesis import strategies as st

from tagbelt.data.types import Span
from tagbelt.training.analysis.page import AROUND, marked, templates, window
from tests.training.analysis.items import item, items

PAGE = templates()
SENTENCE = PAGE.from_string('{% import "parts.html.j2" as page %}{{ page.sentence(parts, gap) }}')


def written(entry, spans, part, *, gap, hues=None, label=lambda span: span.label):
    """A sentence as the page has it."""
    parts = marked(entry, spans, part, gap, hues or {}, label)
    return SENTENCE.render(parts=parts, gap=gap)


def plain(markup):
    """The text of marked-up HTML, without the notes behind entities."""
    return html.unescape(re.sub(r"<small>.*?</small>|<[^>]*>", "", markup))


@given(items(), st.sampled_from(["", " "]))
def test_a_whole_sentence_reads_as_it_is_written(entry, gap):
    whole = (0, len(entry.tokens))
    for spans in (entry.gold, entry.found):
        text = written(entry, spans, whole, gap=gap)
        assert plain(text) == gap.join(entry.tokens)
        assert text.count("<mark") == len(spans)
        assert text.count('class="right"') == len(entry.true)


def test_labels_have_a_hue_and_a_note():
    entry = item("Ada met <b>", [], [(0, 1, "PER"), (2, 3, "X&Y")])
    text = written(
        entry, entry.found, (0, 3), gap=" ", hues={"PER": 2}, label=lambda s: f"{s.label} .5"
    )
    assert text == (
        '<mark data-hue="2">Ada<small>PER .5</small></mark> met '
        '<mark data-hue="7">&lt;b&gt;<small>X&amp;Y .5</small></mark>'
    )


@given(st.text(max_size=20))
def test_text_is_shown_and_never_read_as_markup(text):
    safe = PAGE.from_string("{{ text }}").render(text=text)
    assert not set(safe) & set("<>\"'")
    assert not re.search("[\x00-\x1f\x7f-\x9f]", safe)
    kept = [c for c in text if not re.match("[\x00-\x1f\x7f-\x9f]", c)]
    assert [c for c in html.unescape(safe) if not "\u2400" <= c <= "\u2421" and c != "\ufffd"] == [
        c for c in kept if not "\u2400" <= c <= "\u2421" and c != "\ufffd"
    ]


def test_a_long_sentence_is_cut_around_its_mistakes_but_not_inside_entities():
    words = [str(number) for number in range(200)]
    entry = item(" ".join(words), [(100, 102, "A"), (65, 75, "B")], [(126, 140, "A")])
    assert window(entry, [Span(100, 102, "A")]) == (65, 140)
    text = written(entry, entry.gold, (65, 140), gap=" ")
    assert plain(text) == " ".join(["\u2026", *words[65:140], "\u2026"])
    assert window(entry, [Span(3, 4, "A")]) == (0, 4 + AROUND)
    assert window(item("a b", [(0, 1, "A")]), [Span(0, 1, "A")]) == (0, 2)
