"""A search: runs of one config with other settings, chosen and pruned by Optuna on their dev F1."""

import json
import shutil
import socket
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import optuna
import tomli_w
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from tagbelt.data.checkpoint.artifact import CONFIG
from tagbelt.errors import ConfigError
from tagbelt.training.config import RunConfig, parse_config, sized
from tagbelt.training.corpus.corpus import load_run_data
from tagbelt.training.events import Epoch, Event, ignore
from tagbelt.training.run.train import check_servable, train
from tagbelt.training.rundir import STATE, differences, digests, held, read_metrics, refuse_ranks
from tagbelt.training.search.page import Outcome, TriedTrial, best_of, render_search
from tagbelt.training.search.space import (
    Space,
    Value,
    own_values,
    search_space,
    tables,
    with_values,
)

STUDY, BEST, PAGE = "study.db", "best.toml", "search.html"
"""The names of what a search leaves in its directory, besides a run for each trial."""

WARMUP = 3
"""The first epoch after which a trial may be pruned."""

HOPELESS = 5
"""So many trials that fail one after the other end the search."""

OUTCOMES: dict[TrialState, Outcome] = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
_ELSEWHERE = {("data", "root"), ("training", "device"), ("training", "threads")}


@dataclass(frozen=True)
class TrialBegan:
    """A trial begins, or goes on where it was stopped, with these settings."""

    number: int
    values: Mapping[str, Value]
    goes_on: bool


@dataclass(frozen=True)
class TrialEnded:
    """A trial ended: what it was and the best one by now; `reason` says why it failed."""

    trial: TriedTrial
    best: TriedTrial | None
    reason: str = ""


@dataclass(frozen=True)
class Searched:
    """All trials of a study by now, the best of them, and where its config and the page stand."""

    trials: tuple[TriedTrial, ...]
    best: TriedTrial | None
    config: Path
    page: Path


SearchCallback = Callable[[Event | TrialBegan | TrialEnded], None]


class _TimeIsOver(Exception):
    """Stops a run after a whole epoch; its trial stays under way."""


@dataclass(frozen=True)
class _Search:
    """A study with what its trials need; `ends` is a time of `time.monotonic`."""

    config: RunConfig
    directory: Path
    space: Space
    own: Mapping[str, Value]
    study: optuna.Study
    ends: float
    progress: SearchCallback

    @property
    def place(self) -> str:
        """Names this directory among all that share the study."""
        return f"{socket.gethostname()}:{self.directory.resolve()}"

    def run_of(self, number: int) -> Path:
        """Return the directory of a trial's run."""
        return self.directory / f"trial-{number}"


def search(
    config: RunConfig,
    directory: Path,
    *,
    minutes: float,
    trials: int | None = None,
    storage: str | None = None,
    progress: SearchCallback = ignore,
) -> Searched:
    """Search for `minutes`, or until the study has so many trials that ended.

    `directory` receives a run for each trial, `best.toml`, `search.html` and, unless `storage` is
    the URL of another database, `study.db`. Called again, it goes on: with a trial that was stopped
    from its last whole epoch. Several processes and machines may share a storage. Trials do not
    read the test files, which stand in `best.toml` all the same.

    The first trial has the config's own settings, as far as the space holds them; others are drawn
    by a tree-structured Parzen estimator (Bergstra et al. 2011), and one that is below the median
    of the finished ones after the same epoch is pruned.

    Raises:
        ConfigError: a config, space, file or storage that can't be used, or a study of another
            config, space or files.
        TagbeltError, OSError: what `train` raises; that trial is gone on with next time.
    """
    ends = time.monotonic() + 60 * minutes
    refuse_ranks("tagbelt search")
    check_servable(config)
    sentences = _count_sentences(config)
    space = search_space(config, sentences)
    own = own_values(sized(config, sentences), space)
    directory.mkdir(parents=True, exist_ok=True)
    study = _open_study(config, storage or _sqlite(directory / STUDY), space)
    searching = _Search(config, directory, space, own, study, ends, progress)
    try:
        _run_trials(searching, trials)
    finally:
        found = _write_results(searching)
    return found


def _count_sentences(config: RunConfig) -> int:
    data = load_run_data(config)
    return len(data.train) + len(data.unlabelled)


def _sqlite(path: Path) -> str:
    return URL.create("sqlite", database=str(path)).render_as_string()


def _open_study(config: RunConfig, storage: str, space: Space) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(
            storage=storage,
            study_name=config.name,
            direction="maximize",
            pruner=optuna.pruners.MedianPruner(n_warmup_steps=WARMUP),
            load_if_exists=True,
        )
    except (SQLAlchemyError, optuna.exceptions.OptunaError, ImportError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"--storage: can't be used: {reason}") from error
    _claim(study, config, space)
    return study


def _claim(study: optuna.Study, config: RunConfig, space: Space) -> None:
    """Note what a new study is of; refuse one of another config, space or files."""
    files = digests(config)
    spaces = {key: entry.model_dump(mode="json", exclude_none=True) for key, entry in space.items()}
    attributes = {
        "config": json.dumps(config.model_dump(mode="json")),
        "space": json.dumps(spaces, sort_keys=True),
        "files": json.dumps(files, sort_keys=True),
    }
    if not study.user_attrs:
        for name, value in attributes.items():
            study.set_user_attr(name, value)
        return
    before = {name: study.user_attrs.get(name, "{}") for name in attributes}
    begun = parse_config(json.loads(before["config"]), place=f"study {config.name}")
    changed = differences(begun, config, but=_ELSEWHERE)
    for name, now in (("space", spaces), ("files", files)):
        old = json.loads(before[name])
        keys = sorted(key for key in old.keys() | now.keys() if old.get(key) != now.get(key))
        changed += [f"{'search.' if name == 'space' else 'files of '}{key}" for key in keys]
    if changed:
        raise ConfigError(
            f"the study {config.name!r} was begun otherwise: {'; '.join(changed)}; give another "
            "--out, or, in a shared storage, another --set name=..."
        )


def _run_trials(searching: _Search, limit: int | None) -> None:
    study, failures = searching.study, 0
    stopped = [t for t in study.get_trials(states=[TrialState.RUNNING]) if _is_ours(searching, t)]
    if not study.get_trials(deepcopy=False):
        study.enqueue_trial(dict(searching.own), skip_if_exists=True)
    while time.monotonic() < searching.ends:
        if limit is not None and len(study.get_trials(states=list(OUTCOMES))) >= limit:
            return
        trial = _again(study, stopped.pop(0)) if stopped else study.ask()
        try:
            reason = _run_trial(searching, trial)
        except _TimeIsOver:
            return
        failures = failures + 1 if reason else 0
        if failures == HOPELESS:
            raise ConfigError(f"{HOPELESS} trials failed one after the other, the last: {reason}")


def _is_ours(searching: _Search, trial: FrozenTrial) -> bool:
    """Tell if a trial that is under way was stopped here: no process trains in its directory."""
    if trial.user_attrs.get("place") != searching.place:
        return False
    try:
        with held(searching.run_of(trial.number)):
            return True
    except ConfigError:
        return False


def _again(study: optuna.Study, trial: FrozenTrial) -> Trial:
    """Return a trial that was stopped as one that can be gone on with."""
    return Trial(study, trial._trial_id)


def _run_trial(searching: _Search, trial: Trial) -> str:
    """Run a trial to its end; return why it failed, an empty text otherwise."""
    study, place = searching.study, searching.run_of(trial.number)
    trial.set_user_attr("place", searching.place)
    # By number: a study that goes on, or on another machine, does not draw the same again.
    seed = zlib.crc32(f"{searching.config.training.seed}/{trial.number}".encode())
    study.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    values = {key: _suggest(trial, key, searching.space) for key in searching.space}
    goes_on = (place / CONFIG).exists()
    searching.progress(TrialBegan(trial.number, values, goes_on))
    reason, f1, state = "", None, TrialState.COMPLETE
    try:
        config = with_values(searching.config, values, place=f"trial {trial.number}")
    except ConfigError as error:  # settings that each are right and do not go together
        reason = str(error)
    else:
        try:
            _train(searching, trial, config, goes_on)
            f1 = max(epoch["dev/f1"] for epoch in read_metrics(place))
        except optuna.TrialPruned:
            state = TrialState.PRUNED
        except FloatingPointError as error:
            reason = str(error)
    if reason:
        trial.set_user_attr("reason", reason)
        state = TrialState.FAIL
    study.tell(trial, f1, state=state)
    shutil.rmtree(place / STATE, ignore_errors=True)  # it is never gone on with
    _tell_end(searching, trial.number, reason)
    return reason


def _suggest(trial: Trial, key: str, space: Space) -> Value:
    entry = space[key]
    if entry.choices is not None:
        return cast(Value, trial.suggest_categorical(key, entry.choices))
    low, high = entry.low, entry.high
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(key, low, high, step=entry.step or 1, log=entry.log)
    return trial.suggest_float(key, float(low or 0.0), float(high or 0.0), log=entry.log)


def _train(searching: _Search, trial: Trial, config: RunConfig, goes_on: bool) -> None:
    """Train a trial's run, without its test files; what an epoch tells may stop it."""
    told = set(searching.study.get_trials(deepcopy=False)[trial.number].intermediate_values)

    def report(epoch: int, f1: float) -> None:
        if epoch not in told:
            told.add(epoch)
            trial.report(f1, epoch)

    def on_event(event: Event) -> None:
        if isinstance(event, Epoch):
            report(event.epoch, event.dev.f1)
        searching.progress(event)
        if isinstance(event, Epoch) and trial.should_prune():
            raise optuna.TrialPruned
        if isinstance(event, Epoch) and time.monotonic() >= searching.ends:
            raise _TimeIsOver

    place = searching.run_of(trial.number)
    for epoch in read_metrics(place):  # a trial may be stopped between an epoch and its report
        report(int(epoch["epoch"]), epoch["dev/f1"])
    without_test = config.data.model_copy(update={"test": ()})
    config = config.model_copy(update={"data": without_test})
    train(config, place, resume=goes_on, progress=on_event)


def _tell_end(searching: _Search, number: int, reason: str) -> None:
    trials = _tried(searching.study)
    trial = next(trial for trial in trials if trial.number == number)
    searching.progress(TrialEnded(trial, best_of(trials), reason))


def _tried(study: optuna.Study) -> tuple[TriedTrial, ...]:
    """Return all trials that have begun, by number."""
    states = [*OUTCOMES, TrialState.RUNNING]
    return tuple(_tried_one(trial) for trial in study.get_trials(deepcopy=False, states=states))


def _tried_one(trial: FrozenTrial) -> TriedTrial:
    f1 = max(trial.intermediate_values.values(), default=None)
    outcome = OUTCOMES.get(trial.state, "under way")
    if outcome == "finished":
        f1 = trial.value
    return TriedTrial(trial.number, outcome, trial.params, f1, len(trial.intermediate_values))


def _write_results(searching: _Search) -> Searched:
    """Write the best config and the page from all that the study knows by now."""
    trials = _tried(searching.study)
    best = best_of(trials)
    config, page = searching.directory / BEST, searching.directory / PAGE
    if best is not None:
        values = with_values(searching.config, best.values, place=f"trial {best.number}")
        told = f"# Trial {best.number} of a search: dev F1 {best.f1:.2%}.\n"
        config.write_text(told + tomli_w.dumps(tables(values)), encoding="utf-8")
    text = render_search(
        searching.config.name, trials, searching.space, _importance(searching.study)
    )
    page.write_text(text, encoding="utf-8")
    return Searched(trials, best, config, page)


def _importance(study: optuna.Study) -> dict[str, float]:
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=1)
    try:
        return optuna.importance.get_param_importances(study, evaluator=evaluator)
    except (ValueError, RuntimeError):  # too few trials are finished, or all are equal
        return {}
