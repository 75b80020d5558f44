"""The greeting of a server: its models, its address, and a command to try."""

import json
import shlex
import socket

from tagbelt.service.api.schemas import SENTENCE
from tagbelt.service.api.v1 import PATH
from tagbelt.service.models.registry import Registry
from tagbelt.service.process.sockets import address
from tagbelt.service.settings import Settings


def greeting(registry: Registry, listener: socket.socket, settings: Settings) -> str:
    """The models, the page, the API and a command that works in a shell."""
    url = address(listener, settings)
    models = ", ".join(
        f"{served.info.name} {served.info.version} ({', '.join(served.info.labels)})"
        for served in registry.served
    )
    lines = [f"Serving {models}"]
    if settings.uds is None:
        lines += [f"The page:  {url}/", f"The API:   {url}/docs"]
    else:
        lines.append(f"Listening: {settings.uds}")
    return "\n".join([*lines, f"Try:       {_command(url, _sentence(registry), settings)}"])


def _sentence(registry: Registry) -> str:
    """A sentence for the model that answers: one of its own, if it keeps any."""
    snapshot = registry.snapshot
    default = snapshot.meaning(snapshot.default)
    examples = default.served.info.examples if default is not None else ()
    return examples[0] if examples else SENTENCE


def _command(url: str, sentence: str, settings: Settings) -> str:
    words = ["curl", "-s"]
    if settings.uds is not None:
        words += ["--unix-socket", str(settings.uds)]
    body = json.dumps({"text": sentence}, ensure_ascii=False)
    words += [f"{url}{PATH}", "-H", "content-type: application/json", "-d", body]
    command = shlex.join(words)
    if settings.api_keys is not None or settings.api_keys_file is not None:
        command += ' -H "authorization: Bearer $KEY"'
    return command
