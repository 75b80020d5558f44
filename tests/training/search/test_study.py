"""Searches of a few trials that take a second."""

import json
from html.parser import HTMLParser
from types import SimpleNamespace

import optuna
import pytest

from tagbelt.errors import ConfigError
from tagbelt.training.config import load_config
from tagbelt.training.events import Epoch
from tagbelt.training.run.train import train
from tagbelt.training.rundir import read_metrics
from tagbelt.training.search.page import TriedTrial, render_search
from tagbelt.training.search.space import search_space
from tagbelt.training.search.study import TrialBegan, TrialEnded, search
from tests.training.tiny import tiny_config

RATES = {"low": 0.01, "high": 0.05, "log": True}
FIXED = {
    "model.encoder.cell": ["lstm"],
    "model.encoder.hidden": [8],
    "training.batch_size": [2],
    "optimiser.learning_rate": RATES,
}


def small(changes=None, space=None):
    search = {**FIXED, **(space or {})}
    quick = {"training.epochs": 2, "training.batch_size": 2, "optimiser.average": 0.0}
    return tiny_config({**quick, "search": search, **(changes or {})})


def run(directory, config=None, **options):
    """A search, and all that it told of trials."""
    told = []

    def note(event):
        if isinstance(event, TrialBegan | TrialEnded):
            told.append(event)

    options = {"minutes": 60.0, "trials": 2, "progress": note, **options}
    return search(config or small(), directory, **options), told


def study_in(directory):
    return optuna.load_study(study_name="tiny", storage=f"sqlite:///{directory / 'study.db'}")


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    directory = tmp_path_factory.mktemp("search")
    found, told = run(directory)
    return SimpleNamespace(directory=directory, found=found, told=told)


def test_trials_are_runs_and_the_first_has_the_own_settings(searched):
    first, second = searched.found.trials
    assert first.values["optimiser.learning_rate"] == 0.03
    assert first.values["model.encoder.dropout"] == 0.1
    assert second.values != first.values
    for trial in searched.found.trials:
        place = searched.directory / f"trial-{trial.number}"
        config = json.loads((place / "config.json").read_text(encoding="utf-8"))
        assert config["optimiser"]["learning_rate"] == trial.values["optimiser.learning_rate"]
        assert config["data"]["test"] == [], "a search does not look at test"
        assert list(json.loads((place / "report.json").read_text(encoding="utf-8"))) == ["dev"]
        assert (place / "checkpoint" / "config.json").exists()
        assert not (place / "state").exists()
        assert trial.f1 == max(epoch["dev/f1"] for epoch in read_metrics(place))
    assert searched.found.best.f1 == max(first.f1, second.f1) > 0.0


def test_the_best_config_trains_to_the_same_f1_and_has_its_test_files(searched, tmp_path):
    config = load_config(searched.found.config)
    scores = train(config, tmp_path / "run")
    assert max(e["dev/f1"] for e in read_metrics(tmp_path / "run")) == searched.found.best.f1
    assert "test" in scores


def test_a_search_that_has_its_trials_does_no_more_and_one_that_goes_on_draws_others(searched):
    again, told = run(searched.directory)
    assert (again.trials, told) == (searched.found.trials, [])
    more, told = run(searched.directory, trials=3)
    assert more.trials[:2] == searched.found.trials
    assert len({t.values["optimiser.learning_rate"] for t in more.trials}) == 3


def test_a_trial_that_was_stopped_goes_on_as_if_it_had_not_been(searched, tmp_path, monkeypatch):
    report = optuna.Trial.report

    def stop_before_the_report(trial, value, step):
        if trial.number == 1:
            raise KeyboardInterrupt
        report(trial, value, step)

    with monkeypatch.context() as patch:
        patch.setattr(optuna.Trial, "report", stop_before_the_report)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    assert (tmp_path / "best.toml").exists(), "what is there by then is written"
    found, told = run(tmp_path)
    assert [(e.number, e.goes_on) for e in told if isinstance(e, TrialBegan)] == [(1, True)]
    assert found.trials == searched.found.trials[:2]


def test_when_time_is_over_the_epoch_ends_and_the_trial_is_left_for_the_next_time(
    tmp_path, monkeypatch
):
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr("tagbelt.training.search.study.time", clock)

    def pass_time(event):
        now[0] += 61.0 * isinstance(event, Epoch)

    found, _ = run(tmp_path, minutes=1.0, progress=pass_time)
    assert [(t.outcome, t.epochs) for t in found.trials] == [("under way", 1)]
    assert found.best is None
    assert not found.config.exists()
    assert "No trial is finished yet" in found.page.read_text(encoding="utf-8")
    found, told = run(tmp_path, trials=1)
    assert told[0].goes_on
    assert [(t.outcome, t.epochs) for t in found.trials] == [("finished", 2)]


def test_a_trial_behind_the_others_is_pruned(tmp_path):
    config = small({"training.epochs": 5})
    run(tmp_path, config, trials=1)
    study = study_in(tmp_path)
    (first,) = study.trials
    for _ in range(5):
        study.add_trial(
            optuna.create_trial(
                value=1.0,
                params=first.params,
                distributions=first.distributions,
                intermediate_values=dict.fromkeys(range(1, 6), 1.0),
            )
        )
    found, _ = run(tmp_path, config, trials=7)
    assert (found.trials[-1].outcome, found.trials[-1].epochs) == ("pruned", 3)
    assert len(read_metrics(tmp_path / "trial-6")) == 3


def test_a_trial_that_fails_is_told_and_the_others_go_on(tmp_path):
    config = small({"optimiser.warmup": 0.0}, {"optimiser.learning_rate": [1e38, 0.03]})
    study = run(tmp_path, config, trials=1)[0]
    assert study.trials[0].outcome == "finished", "the own rate is 0.03"
    study_in(tmp_path).enqueue_trial({"optimiser.learning_rate": 1e38})
    found, told = run(tmp_path, config, trials=2)
    assert found.trials[1].outcome == "failed"
    assert "lower optimiser.learning_rate" in told[-1].reason
    assert found.best.number == 0


def test_settings_that_do_not_go_together_fail_and_only_such_end_the_search(tmp_path):
    space = {"model.encoder.cell": ["gru"], "model.encoder.peephole": [True]}
    config = small({"model.encoder.cell": "lstm-coupled"}, space)
    with pytest.raises(ConfigError, match=r"5 trials failed .* peephole = true needs an lstm"):
        run(tmp_path, config, trials=9)
    assert [t.state.name for t in study_in(tmp_path).trials] == ["FAIL"] * 5


def test_machines_share_a_study_and_leave_the_trials_of_others_alone(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    shared = {"storage": f"sqlite:///{tmp_path / 'shared.db'}"}

    def stop(event):
        if isinstance(event, Epoch):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(here, trials=1, progress=stop, **shared)
    found, told = run(there, trials=1, **shared)
    assert [t.outcome for t in found.trials] == ["under way", "finished"]
    assert told[0].number == 1
    assert (there / "trial-1").exists()
    assert not (there / "trial-0").exists()
    found, told = run(here, trials=2, **shared)
    assert (told[0].number, told[0].goes_on) == (0, True)
    assert not (here / "study.db").exists()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (small({"model.words.size": 13}), "model.words.size (was 12, is 13)"),
        (small(space={"training.batch_size": [4]}), "search.training.batch_size"),
        (small({"data.dev": "test.conll"}), "files of dev"),
    ],
)
def test_a_study_of_another_kind_is_refused(searched, config, message):
    with pytest.raises(ConfigError) as raised:
        run(searched.directory, config)
    assert message in str(raised.value)
    assert "was begun otherwise" in str(raised.value)


@pytest.mark.parametrize("url", ["nonsense", "nosuch://host/name", "sqlite:////no/such/dir/a.db"])
def test_a_storage_that_can_not_be_used_is_told(tmp_path, url):
    with pytest.raises(ConfigError, match=r"^--storage: can't be used: ."):
        run(tmp_path, storage=url)


def parsed(page):
    seen = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: seen.append((tag, dict(attributes)))
    parser.feed(page)
    return seen


def test_the_page_shows_history_importance_and_slices_and_needs_nothing_else():
    space = search_space(tiny_config(), 40)
    values = {"optimiser.learning_rate": 0.002, "model.encoder.cell": "<gru>"}
    trials = [
        TriedTrial(0, "finished", values, 0.5, 3),
        TriedTrial(1, "pruned", {**values, "optimiser.learning_rate": 0.004}, 0.25, 1),
        TriedTrial(2, "failed", values, None, 0),
        TriedTrial(3, "finished", {**values, "optimiser.learning_rate": 0.008}, 0.75, 3),
    ]
    page = render_search("n<b>", trials, space, {"optimiser.learning_rate": 0.75})
    tags = parsed(page)
    labels = [given["aria-label"] for tag, given in tags if tag == "svg"]
    assert labels == ["Dev F1 by trial", *(f"Dev F1 by {key}" for key in space if key in values)]
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in tags}
    assert "http" not in page
    assert "trial 3, finished: 0.008, dev F1 75.00%" in page
    assert "&lt;gru&gt;" in page
    assert "<gru>" not in page
    assert ">75.00</span>" in page
    history = page.split("</svg>")[0].count("<circle")
    assert history == 3 + 3, "a dot a trial that has an F1, and as many points of the line"
    rates = page[page.index("Dev F1 by optimiser.learning_rate") :].split("</svg>")[0]
    places = {float(given["cx"]) for tag, given in parsed(f"{rates}</svg>") if tag == "circle"}
    left, middle, right = sorted(places)
    assert middle - left == pytest.approx(right - middle, abs=0.2), "on a scale of logarithms"
