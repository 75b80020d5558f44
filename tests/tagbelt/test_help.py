import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from tagbelt.commands.cli import app

ROOT = Path(__file__).parents[2]
WIDE = {"COLUMNS": "110", "NO_COLOR": "1", "TERM": "dumb"}
COMMANDS = {
    "train": [
        "--set",
        "--out",
        "--resume",
        "--seeds",
        "--jobs",
        "CONFIG",
        "configs/conll2003.toml",
    ],
    "search": ["CONFIG", "--set", "--out", "--minutes", "--trials", "--storage", "best.toml"],
    "compare": ["--split", "--samples", "--file", "--precision", "--json", "directory of seeds"],
    "report": ["RUN", "--on", "--out", "--mistakes", "--threads", "--json"],
    "evaluate": [
        *(
            "--columns",
            "--separator",
            "--scheme",
            "--repair",
            "--annotates",
            "--precision",
            "--json",
        ),
    ],
    "tag": ["--model", "--from", "--to", "--whole", "--field", "exit code is 1"],
    "inspect": ["--model", "--html", "--vectors", "TEXT", "128 tokens"],
    "experiment": ["--cell", "--seeds", "--quick", "--out", "--data", "gradients", "attention"],
    "serve": ["--host", "127.0.0.1", "--port", "8000", "--threads", "TAGBELT_*"],
}


def test_the_first_help_names_every_command(process):
    done = process("--help", **WIDE)
    assert done.code == 0
    assert "Named-entity recognition: train on CoNLL data, tag text, serve over HTTP." in done.out
    assert all(f" {command} " in done.out for command in COMMANDS)


def test_without_a_command_help_is_shown(process):
    done = process(**WIDE)
    assert "serve" in done.out + done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_tells_what_it_takes(process, command):
    done = process(command, "--help", **WIDE)
    assert done.code == 0
    shown = " ".join(done.out.replace("\u2502", " ").split()).lower()
    for words in COMMANDS[command]:
        assert words.lower() in shown, words


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_explained(command):
    for option in typer.main.get_command(app).commands[command].params:
        assert option.help.endswith("."), option.name


@pytest.mark.parametrize("arguments", [["nothing"], ["tag", "--nothing"], ["train"]])
def test_a_wrong_command_line_is_told_how_to_go_on(process, arguments):
    done = process(*arguments, **WIDE)
    assert done.code == 2
    assert "--help" in done.err
    assert "Traceback" not in done.err


PROGRAM = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "onnx", "torchcrf", "seqeval", "tensorboard"}:
            raise ImportError(f"{name} is not there")

sys.meta_path.insert(0, Blocked())
sys.argv = ["tagbelt", *sys.argv[1:]]
from tagbelt.commands.cli import main
main()
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["train", "--help"], ["serve", "--help"], ["tag"]]
)
def test_what_serves_needs_no_torch(checkpoint, arguments):
    model = ["-m", str(checkpoint)] if arguments == ["tag"] else []
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments, *model],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input="Trains to Tarn stop .\n",
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Tarn" in done.stdout or "Usage" in done.stdout
