import pytest

from benchmarks.speed.limits import measured
from benchmarks.speed.products import shapes
from benchmarks.speed.taggers import Rounds
from tagbelt.inference.native.quantised import PORTABLE, best_tier


def test_the_limit_is_the_sum_of_the_products_and_the_share_a_part_of_it():
    taggers = {"int8": lambda: 10.0, "float32": lambda: 5.0}
    rows = measured(shapes(6, 4, 3), (1, 2), taggers, Rounds(2, 0.0))
    times = {(row["system"], row["product"]): row["seconds_per_token"] for row in rows}

    def total(*keys):
        return [sum(values) for values in zip(*(times[key]["values"] for key in keys), strict=True)]

    emission = ("float32", "emission")
    for kind in ("int8", "float32"):
        without = total((kind, "recurrent"), emission)
        assert times[kind, "without input"]["values"] == pytest.approx(without)
        everything = total((kind, "input"), (kind, "recurrent"), emission)
        assert times[kind, "all"]["values"] == pytest.approx(everything)
    for row in rows:
        if "by_rows" in row:
            assert row["by_rows"][row["rows"]] == min(row["by_rows"].values())
        else:
            speed = taggers[row["system"]]()
            shares = [speed * seconds for seconds in row["seconds_per_token"]["values"]]
            assert row["share"]["values"] == pytest.approx(shares)


@pytest.mark.skipif(
    best_tier() in (None, PORTABLE, "neon", "neondot", "neoni8mm"),
    reason="no tier with such a loop",
)
def test_the_limit_of_the_instructions_stands_beside_those_of_the_products():
    taggers = {"int8": lambda: 10.0, "float32": lambda: 5.0}
    rows = measured(shapes(310, 200, 13), (1,), taggers, Rounds(1, 0.0))
    bare = [row for row in rows if row["product"].startswith("bare loop")]
    assert [row["product"] for row in bare] == [f"bare loop, {best_tier()}"]
    (rate,) = bare[0]["rate"]["values"]
    assert rate > 1000  # half a million products each; the slowest processor adds a billion
    assert bare[0]["share"]["values"] == pytest.approx([10.0 / rate])
