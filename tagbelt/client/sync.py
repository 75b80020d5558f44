"""The blocking client."""

import os
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Self, TypeVar, Unpack

import httpx

from tagbelt.client.batches import CallOptions, FileOptions, RequestLimits, T, TaggingOptions
from tagbelt.client.calls import Calls, Tagged, TaggingPlan, sentences_of, texts_of
from tagbelt.client.exchange import Outcome, Reply, Retry, Send, ServerAddress, Steps, Timeouts
from tagbelt.client.files import FileCounts, FileJob
from tagbelt.client.replies import ItemError, Result
from tagbelt.service.models.schemas import ModelState, ModelStates, Report

V = TypeVar("V")


class Client:
    """A blocking client of a Tagbelt server. Several threads may share one.

    Args:
        base_url: the server; TAGBELT_URL, then http://127.0.0.1:8000, unless given.
        api_key: sent as a bearer token; TAGBELT_API_KEY unless given.
        uds: path of a unix socket to connect to.
        timeout: seconds for a whole call, retries included, unless the call says; None: no end.
        retry: when to try again. Only calls that may safely be repeated are.
        max_items: items in one request. When the server takes fewer, the client learns that.
        max_bytes: bytes in the body of one request; likewise.
        connections: how many may be open at a time.
        verify: False, or an SSL context, for servers that the system does not know.
        transport: in place of a network, for tests.
        sleep: in place of time.sleep, for tests.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        uds: str | os.PathLike[str] | None = None,
        timeout: float | None = 60.0,
        retry: Retry | None = None,
        max_items: int = 256,
        max_bytes: int = 1 << 20,
        connections: int = 16,
        verify: bool | ssl.SSLContext = True,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        target = ServerAddress.of(base_url, api_key, uds, verify, connections)
        self._calls = Calls(retry or Retry(), RequestLimits(max_items, max_bytes), timeout)
        self._sleep = sleep
        self._http = httpx.Client(
            transport=transport or httpx.HTTPTransport(**target.transport_options()),
            **target.options(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def tag(self, text: str, **options: Unpack[TaggingOptions]) -> Result:
        """Tag one text. Raises a StatusError too when this text cannot be tagged."""
        return self._run(self._calls.tag(text, options))

    def tag_many(
        self, texts: Iterable[str], **options: Unpack[TaggingOptions]
    ) -> list[Result | ItemError]:
        """Tag any number of texts; one result each, in order.

        A text that is bad on its own has an ItemError in its place. Raises a TagbeltError when a
        request fails as a whole, and with it the call.
        """
        plan = self._calls.plan(options, whole=True)
        return [outcome for _, outcome in self._tagged(texts_of(texts), plan)]

    def tag_tokens(
        self, sentences: Iterable[Sequence[str]], **options: Unpack[TaggingOptions]
    ) -> list[Result | ItemError]:
        """As `tag_many`, for sentences that are tokens already."""
        plan = self._calls.plan(options, whole=True)
        return [outcome for _, outcome in self._tagged(sentences_of(sentences), plan)]

    def stream(self, items: Iterable[T], **options: Unpack[TaggingOptions]) -> Iterator[Tagged[T]]:
        """Tag items as they come: pairs of an item and its result, in order.

        An item is a text, a token list, or an object with "text" or "tokens", whose other members
        (an id, say) come back with it. Memory is that of one request, and one is under way at a
        time. `timeout` is for each request.
        """
        return self._tagged(items, self._calls.plan(options, whole=False))

    def tag_file(
        self,
        source: str | os.PathLike[str],
        target: str | os.PathLike[str],
        **options: Unpack[FileOptions],
    ) -> FileCounts:
        """Tag a file into another, with the memory of one request; see `client.files`.

        `target` appears when all is done; until then what was there stays. `timeout` is for each
        request.
        """
        with FileJob(source, target) as job:
            for item, outcome in self.stream(job.items(), **job.options(options)):
                job.write(item, outcome)
        return job.counts

    def models(self, **options: Unpack[CallOptions]) -> ModelStates:
        """List the models that are served."""
        return self._run(self._calls.models(options))

    def model(self, name: str, **options: Unpack[CallOptions]) -> ModelState:
        """Describe one model: a name, or name@version."""
        return self._run(self._calls.model(name, options))

    def ready(self, **options: Unpack[CallOptions]) -> bool:
        """Ask once if the server can answer now; False when it cannot be reached."""
        return self._run(self._calls.ready(options))

    def load(self, name: str, version: str | None = None, **options: Unpack[CallOptions]) -> Report:
        """Load a version from the server's disk, the newest unless given.

        As all admin calls it is sent once. Raises a StatusError when the server refuses it.
        """
        return self._run(self._calls.change(name, "load", version, options))

    def reload(
        self, name: str, version: str | None = None, **options: Unpack[CallOptions]
    ) -> Report:
        """Read a loaded version from the disk again, the one that the name means unless given."""
        return self._run(self._calls.change(name, "reload", version, options))

    def unload(
        self, name: str, version: str | None = None, **options: Unpack[CallOptions]
    ) -> Report:
        """Serve a version no longer, or all of the name unless one is given."""
        return self._run(self._calls.change(name, "unload", version, options))

    def set_default(
        self, name: str, version: str | None = None, **options: Unpack[CallOptions]
    ) -> Report:
        """Answer with this model when a request names none.

        With a version: answer with that one when a request names the model without a version.
        """
        return self._run(self._calls.change(name, "default", version, options))

    def rescan(self, **options: Unpack[CallOptions]) -> Report:
        """Make what is served fit what is on the server's disk, as SIGHUP does."""
        return self._run(self._calls.rescan(options))

    def _tagged(self, items: Iterable[T], plan: TaggingPlan[T]) -> Iterator[Tagged[T]]:
        for steps in plan.batches(items):
            yield from self._run(steps)

    def _run(self, steps: Steps[V]) -> V:
        outcome: Outcome | None = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as done:
                result: V = done.value
                return result
            if isinstance(step, Send):
                outcome = self._send(step)
            else:
                self._sleep(step.seconds)
                outcome = None

    def _send(self, step: Send) -> Outcome:
        request = self._http.build_request(
            step.request.method,
            step.request.path,
            content=step.request.body,
            headers=step.headers,
            extensions={"timeout": Timeouts(step.deadline)},
        )
        try:
            response = self._http.send(request, stream=True)
            try:
                return Reply(response.status_code, response.headers, _body(response, step))
            finally:
                response.close()
        except httpx.RequestError as error:
            return error


def _body(response: httpx.Response, step: Send) -> bytes:
    """The body, given up at the deadline however slowly it drips in."""
    parts = []
    for part in response.iter_bytes():
        parts.append(part)
        if step.deadline.left() <= 0:
            raise httpx.ReadTimeout("the body was not complete in time")
    return b"".join(parts)
