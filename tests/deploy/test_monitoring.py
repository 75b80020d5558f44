"""The alerts and the dashboard ask only for what the service tells."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tagbelt.service.telemetry.families import Families

DEPLOY = Path(__file__).parents[2] / "deploy"
FUNCTIONS = {"count", "histogram_quantile", "increase", "max", "min", "rate", "sum", "vector"}
WORDS = FUNCTIONS | {"by", "group_left", "ignoring", "or", "up"}
TARGET_LABELS = {"job", "instance", "le"}


def series() -> dict[str, set[str]]:
    """The labels of each series by its name."""
    found = {}
    for family in vars(Families(None)).values():
        (metric,) = family.describe()
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
        for suffix in suffixes.get(metric.type, [""]):
            found[metric.name + suffix] = set(family._labelnames) | TARGET_LABELS
    return found | {"up": TARGET_LABELS}


def alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))[
        "groups"
    ]
    return group["rules"]


def dashboard() -> dict[str, Any]:
    return json.loads((DEPLOY / "grafana" / "tagbelt.json").read_text(encoding="utf-8"))


def expressions() -> list[str]:
    targets = [target for panel in dashboard()["panels"] for target in panel["targets"]]
    return [rule["expr"] for rule in alerts()] + [target["expr"] for target in targets]


def wrong(expression: str) -> list[str]:
    """The names in an expression that are no series, label or function."""
    known = series()
    bare = re.sub(r'"[^"]*"|\[[^]]*\]', "", expression)
    names = re.findall(r"\b[a-z_]\w*", re.sub(r"\{[^}]*\}|\b(by|ignoring) \([^)]*\)", "", bare))
    found = [name for name in names if name not in known and name not in WORDS]
    used = set().union(*(known[name] for name in names if name in known))
    labels = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", " ".join(re.findall(r"\{[^}]*\}", bare)))
    for group in re.findall(r"\bby \(([^)]*)\)", bare):
        labels += re.findall(r"\w+", group)
    return found + [label for label in labels if label not in used]


@pytest.mark.parametrize("expression", expressions())
def test_an_expression_names_what_exists(expression):
    assert wrong(expression) == []


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("rate(tagbelt_request_total[5m])", ["tagbelt_request_total"]),
        ("tagbelt_request_seconds", ["tagbelt_request_seconds"]),
        ('sum by (model) (tagbelt_requests_total{path="x"})', ["path", "model"]),
        ("avg_over(tagbelt_ready[5m])", ["avg_over"]),
    ],
)
def test_a_wrong_name_is_found(expression, names):
    assert wrong(expression) == names


def test_every_metric_is_on_the_dashboard():
    shown = " ".join(expressions())
    families = {re.sub("_(total|bucket|sum|count)$", "", name) for name in series()}
    assert [name for name in sorted(families) if name not in shown] == []


def test_every_alert_says_how_bad_it_is_and_what_to_do():
    for rule in alerts():
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]
    names = [rule["alert"] for rule in alerts()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", ["prometheus.yml", "compose.yml"])
def test_a_scrape_configuration_reads_the_alerts(name):
    folder = DEPLOY / "prometheus"
    config = yaml.safe_load((folder / name).read_text(encoding="utf-8"))
    (job,) = config["scrape_configs"]
    assert (job["job_name"], job.get("metrics_path", "/metrics")) == ("tagbelt", "/metrics")
    assert all((folder / name).exists() for name in config["rule_files"])


def test_panels_do_not_overlap():
    taken = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + column, place["y"] + row)
            for column in range(place["w"])
            for row in range(place["h"])
        }
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells
