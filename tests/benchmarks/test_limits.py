import pytest

from benchmarks.speed.limits import measured
from benchmarks.speed.products import shapes
from benchmarks.speed.taggers import Rounds


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
