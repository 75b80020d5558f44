"""An annotation as a notebook shows it."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from tagbelt.data.types import Entity
from tagbelt.inference import Annotation


class Reader(HTMLParser):
    """Gathers the text, what is marked in it, and every tag."""

    def __init__(self, html):
        super().__init__()
        self.text, self.marked, self.tags, self.open = "", [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.open.append(tag)
        if tag == "mark":
            self.marked.append([dict(attributes)["title"], "", ""])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "small" in self.open:
            self.marked[-1][2] += data
        else:
            self.text += data
            if "mark" in self.open:
                self.marked[-1][1] += data


TEXT = "Ada  met <b>Bo</b>."
ENTITIES = (Entity("PER", 0, 3, "Ada", 0.98765), Entity("A&B", 9, 18, "<b>Bo</b>", 0.5))


def test_entities_of_a_text_are_marked_with_label_and_score_and_escaped():
    tokens, starts = ("Ada", "met", "<b>Bo</b>", "."), (0, 5, 9, 18)
    html = Annotation(tokens, starts, ("O",) * 4, ENTITIES)._repr_html_()
    shown = Reader(html)
    assert shown.marked == [["0.9877", "Ada ", "PER"], ["0.5000", "<b>Bo</b> ", "A&B"]]
    assert shown.tags == ["p", *["mark", "small", "b"] * 2]
    assert shown.text == "Ada   met <b>Bo</b> ."
    assert "&lt;b&gt;Bo&lt;/b&gt;" in html


def test_entities_of_a_token_list_are_marked():
    entities = (Entity("LOC", 1, 3, "Port Anwick", 1.0),)
    shown = Reader(
        Annotation(("in", "Port", "Anwick", "."), (), ("O",) * 4, entities)._repr_html_()
    )
    assert shown.marked == [["1.0000", "Port Anwick ", "LOC"]]
    assert shown.text == "in Port Anwick  ."


def test_nothing_found_in_nothing():
    assert Reader(Annotation((), (), (), ())._repr_html_()).text == ""


@given(st.lists(st.text(min_size=1), min_size=1, max_size=8))
def test_no_token_can_add_a_tag(tokens):
    shown = Reader(Annotation(tuple(tokens), (), ("O",) * len(tokens), ())._repr_html_())
    assert shown.tags == ["p"]
