"""A worker process of a fleet that does what its standard input says, and says what came of it.

A line is a JSON list: the name of a method of Changes and its arguments, or "loaded". In the
environment SLOW names a file that each load waits for to go, CANNOT a model that never loads.
"""

import json
import os
import sys
import time
from pathlib import Path

from tagbelt.service.api.problems import ProblemError
from tagbelt.service.models.changes import Changes
from tagbelt.service.models.fleet import Fleet
from tagbelt.service.models.manager import Manager, open_models
from tagbelt.service.models.store import Place
from tests.service.fake import FakeTagger
from tests.service.models.folders import FakeLoad, loaded


class SlowLoad(FakeLoad):
    def __call__(self, place: Place) -> FakeTagger:
        gate = os.environ.get("SLOW")
        while gate and Path(gate).exists():
            Path(gate).with_suffix(".met").touch()
            time.sleep(0.01)
        if os.environ.get("CANNOT") == place.full_name:
            raise MemoryError("no room here")
        return super().__call__(place)


def answer(manager: Manager, command: str, *arguments: str) -> object:
    changes = manager.changes
    if command == "loaded":
        default = changes.registry.get(None).full_name
        stamps = [one.stamp for one in changes.registry.snapshot.models.values()]
        return {"loaded": loaded(changes), "default": default, "stamps": stamps}
    try:
        method = getattr(Changes, command)
        report = manager._carry_out(lambda changes: method(changes, *arguments))
    except ProblemError as error:
        return {"status": error.status_code, "detail": error.detail}
    return report.model_dump(mode="json")


def main() -> None:
    root, runtime, patience = sys.argv[1:]
    fleet = Fleet(Path(runtime), patience=float(patience))
    manager = open_models(Path(root), load=SlowLoad(), fleet=fleet)
    sys.stdout.write("ready\n")
    for line in iter(sys.stdin.readline, ""):
        sys.stdout.flush()
        sys.stdout.write(json.dumps(answer(manager, *json.loads(line))) + "\n")
        sys.stdout.flush()
    manager.close()


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    main()
