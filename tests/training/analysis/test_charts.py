from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tagbelt.training.analysis import charts
from tagbelt.training.analysis.charts import Dot, dot_chart, epoch_chart, reliability_chart
from tagbelt.training.analysis.page import templates
from tagbelt.training.scores.calibration import Bin

VALUES = st.floats(0.0, 1e6).filter(lambda value: value == 0.0 or value > 1e-6)


def drawn(chart):
    """The chart as a tree: its root and its curves as lists of (x, y)."""
    svg = templates().get_template("parts.html.j2").module.draw(chart)
    root = ElementTree.fromstring(f"<div>{svg}</div>")
    points = [line.get("points").split() for line in root.iter("polyline")]
    return root, [[tuple(map(float, p.split(","))) for p in curve] for curve in points]


def heights(root):
    """Which value stands at which height, as the grid says."""
    texts = (t for t in root.iter("text") if t.get("text-anchor") == "end")
    return {float(t.text.rstrip("%")): float(t.get("y")) - 4 for t in texts}


@given(VALUES, VALUES)
@example(0.0, 0.0)
@example(0.9, 0.9)
@example(0.3, 0.7)
def test_the_grid_is_round_and_holds_all(one, other):
    low, high = sorted((one, other))
    levels = charts._levels(low, high)
    steps = [after - before for before, after in pairwise(levels)]
    assert 2 <= len(levels) <= 7
    assert levels[0] <= low + 1e-8
    assert levels[-1] >= high - 1e-8
    assert min(steps) > 0.0
    assert max(steps) == pytest.approx(min(steps), rel=1e-2)
    digits = f"{steps[0]:.6e}".partition("e")[0].replace(".", "")
    assert digits.rstrip("0") in ("1", "2", "25", "5")


def test_curves_run_through_their_values():
    lines = [("a", 0, [0.2, 0.6, 1.0]), ("b", 1, [1.0, 0.4, 0.4])]
    root, found = drawn(epoch_chart("title", [1, 2, 3], lines, style=".0%", best=2))
    at = heights(root)
    assert [y for _, y in found[0]] == [at[20], at[60], at[100]]
    assert [y for _, y in found[1]] == [at[100], at[40], at[40]]
    (left, _), (middle, _), (right, _) = found[0]
    assert middle - left == pytest.approx(right - middle, abs=0.2)
    (mark,) = [e for e in root.iter("line") if e.get("class") == "even"]
    assert float(mark.get("x1")) == middle
    assert root.find("svg").get("aria-label") == "title"
    assert [e.text for e in root.iter("title")][:2] == ["best epoch: 2", "epoch 1: a 20%"]


@pytest.mark.parametrize("count", [1, 2, 9, 10, 11, 200])
def test_epochs_are_written_without_crowding_and_the_last_one_always(count):
    epochs = range(1, count + 1)
    root, _ = drawn(epoch_chart("t", epochs, [("a", 0, [0.5] * count)], style=".2f"))
    shown = [int(t.text) for t in root.iter("text") if t.get("text-anchor") == "middle"]
    assert count in shown
    assert len(shown) == min(count, 10) or 5 <= len(shown) <= 10


def test_reliability_is_accuracy_over_confidence():
    bins = [Bin(0.0, 0.5, 10, 0.25, 0.75), Bin(0.5, 0.9, 0, 0.0, 0.0), Bin(0.9, 1.0, 40, 1.0, 0.5)]
    root, (curve,) = drawn(reliability_chart("t", bins))
    at = heights(root)
    assert [y for _, y in curve] == [at[75], at[50]]
    columns = list(root.iter("rect"))
    assert [float(c.get("y")) for c in columns] == [at[25], at[100]]
    assert [c.find("title").text for c in columns] == [
        "0.0 to 0.5: 10 entities",
        "0.9 to 1.0: 40 entities",
    ]
    _, (empty,) = drawn(reliability_chart("t", []))
    assert empty == []


def dots_of(values, **options):
    """Dots at these values, 0 %, 50 % and 100 % high: the chart, their places, the labels below."""
    dots = [Dot(x, y, 0, f"at {x}") for x, y in zip(values, (0.0, 0.5, 1.0), strict=True)]
    root, _ = drawn(dot_chart("t", dots, style=".0%", **options))
    circles = [(float(c.get("cx")), float(c.get("cy"))) for c in root.iter("circle")]
    labels = {
        t.text: float(t.get("x")) for t in root.iter("text") if t.get("text-anchor") == "middle"
    }
    return root, circles, labels


@pytest.mark.parametrize(
    ("values", "log", "shown"),
    [
        ((2, 4, 6), False, ["2", "4", "6"]),
        ((0.001, 0.01, 0.1), True, ["0.001", "0.01", "0.1"]),
        (("gru", "lstm", "mgu"), False, ["gru", "lstm", "mgu"]),
        ((False, "1", 2), False, ["1", "2", "False"]),
    ],
)
def test_dots_stand_at_their_values_and_names_side_by_side(values, log, shown):
    root, circles, labels = dots_of(values, log=log)
    at = heights(root)
    assert sorted(y for _, y in circles) == sorted([at[0], at[50], at[100]])
    assert list(labels) == shown
    assert {str(v): x for v, (x, _) in zip(values, circles, strict=True)} == labels
    left, middle, right = sorted(labels.values())
    assert middle - left == pytest.approx(right - middle, abs=0.2)


def test_a_line_lies_behind_dots_and_hues_are_named():
    line = [(1, 0.0), (3, 1.0)]
    dots = [Dot(n, n / 3, n % 2, "") for n in (1, 2, 3)]
    root, (curve,) = drawn(
        dot_chart("t", dots, style=".0%", line=line, names={0: "even", 1: "odd", 7: "best"})
    )
    assert curve[0][0] < curve[1][0]
    assert curve[0][1] > curve[1][1]
    assert ["".join(e.itertext()).strip() for e in root.iter("li")] == ["best", "even", "odd"]


def test_one_dot_alone_can_be_drawn():
    root, _ = drawn(dot_chart("t", [Dot(0.5, 0.5, 0, "one")], style=".0%"))
    assert [e.find("title").text for e in root.iter("circle")] == ["one"]
