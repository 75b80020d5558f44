"""A server over a fake model, in processes of its own: `python program.py PLAN`.

The plan is JSON: settings, and what the fake does, or the folder of real `models`. Everything else
is real. A worker process runs this file too, with the plan in the environment.
"""

import ctypes
import json
import os
import sys
import time
from functools import partial
from pathlib import Path

import typer

PLAN = "FAKE_PLAN"


class Count:
    """Counts requests that reached the app, and replies that left it whole."""

    def __init__(self, app, folder):
        self.app, self.folder = app, Path(folder)
        self.begun = self.done = 0

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            self.write()
            return

        async def watched(message):
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                self.done += 1

        self.begun += 1
        await self.app(scope, receive, watched)

    def write(self):
        text = json.dumps({"begun": self.begun, "done": self.done})
        (self.folder / f"count-{os.getpid()}.json").write_text(text, encoding="utf-8")


class Noted:
    """Stands for what SIGHUP reaches: notes it in a file of this process."""

    def __init__(self, what, folder):
        self.what, self.path = what, Path(folder) / f"reloads-{os.getpid()}"

    def reload(self):
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{self.what}\n")

    request_rescan = reload


def patch(plan):
    from tagbelt.errors import CheckpointError
    from tagbelt.service.app import create_app
    from tagbelt.service.models.registry import Registry
    from tagbelt.service.models.served import Served
    from tagbelt.service.process import server
    from tests.service.fake import FakeTagger

    folder = Path(plan["folder"])

    def hold(mark, until):
        """Leaves a mark and waits for another one."""
        (folder / mark).touch()
        while not (folder / until).exists():
            time.sleep(0.01)

    class Held(FakeTagger):
        """A text with `hold` in it waits for the file `go`."""

        def annotate_items(self, readings, phases=None, between=lambda: None):
            if any("hold" in str(reading.text) for reading in readings):
                hold("holding", "go")
            return super().annotate_items(readings, phases, between)

    async def hang():
        """Waits with the interpreter's lock in hand."""
        ctypes.PyDLL(None).sleep(600)

    def open_app(settings, models):
        if (folder / "bad").exists():
            raise CheckpointError(f"{models}: damaged")
        if "threads" in plan:
            assert server.share_of_threads(settings) == plan["threads"]
        if plan.get("waits") or (plan.get("second_waits") and (folder / "first").exists()):
            hold("loading", "load")
        (folder / "first").touch()
        app = create_app(settings, Registry([Served(Held("en", poison="sesame"))]))
        app.add_middleware(Count, folder=folder)
        app.add_api_route("/hang", hang)
        app.state.keys = Noted("keys", folder)
        app.state.models = Noted("models", folder)
        return app

    if "hangs_for" in plan:
        server.watched = partial(server.watched, most=plan["hangs_for"])
    server.REST_SECONDS = plan.get("rest", server.REST_SECONDS)
    if "models" not in plan:
        server.open_app = open_app


def say(text):
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main():
    if PLAN in os.environ:
        patch(json.loads(os.environ[PLAN]))
        from tagbelt.service.process.worker import main as work

        sys.exit(work(sys.argv[1:]))
    plan = json.loads(sys.argv[1])
    from tagbelt.commands.failures import told
    from tagbelt.service.process import spawn
    from tagbelt.service.process.launch import run
    from tagbelt.service.settings import load_settings

    settings = load_settings(**plan["settings"])
    if settings.workers > 1:
        os.environ[PLAN] = sys.argv[1]
        spawn.PROGRAM = (sys.executable, __file__)
    else:
        patch(plan)
    try:
        with told("serve"):
            run(settings, Path(plan.get("models", "models")), say=say)
    except typer.Exit as end:
        sys.exit(end.exit_code)


if __name__ == "__main__":
    main()
