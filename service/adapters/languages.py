"""Which model speaks a language, for APIs that name a language where we name a model."""

from tagbelt.service.models.registry import Registry
from tagbelt.service.models.served import Served


def models_of(registry: Registry, language: str | None) -> list[Served]:
    """The models for a language tag such as `en` or `zh-TW`, the fittest first; None: all.

    Those with the very tag come first, then those of the same language, then those that state
    no language; of equals the default model. Each name stands for its current version.
    """
    snapshot = registry.snapshot
    current = [snapshot.meaning(name).served for name in snapshot.current]
    models = list(dict.fromkeys([snapshot.default_model, *current]))
    if language is None:
        return models
    wanted = _tag(language)
    exact = [one for one in models if _tag(one.info.language) == wanted]
    same = [one for one in models if _primary(one.info.language) == _primary(language)]
    silent = [one for one in models if not one.info.language]
    return list(dict.fromkeys([*exact, *same, *silent]))


def _tag(language: str) -> str:
    return language.lower().replace("_", "-")


def _primary(language: str) -> str:
    return _tag(language).partition("-")[0]
