import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.service.fake import FakeTagger
from tests.service.live import serving

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
STARTED = "#model-card:not(:empty), #error:not([hidden]), #key-card:not([hidden]), #problems"

OpenPage = Callable[..., Any]


# Not for the session: Playwright keeps an event loop running, in which no other test's could.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium on the path")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def plain_server() -> Iterator[str]:
    """A server over one fake tagger, for the tests that ask for nothing special."""
    with serving(FakeTagger()) as url:
        yield url


@contextmanager
def watched_page(browser: Any, url: str, path: str = "/", **options: Any) -> Iterator[Any]:
    """A page that must log no error, break no policy and ask no other host."""
    context = browser.new_context(**options)
    context.set_default_timeout(15_000)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else 0)
    page.on("dialog", lambda d: (complaints.append(f"dialog: {d.message}"), d.dismiss()))
    own = (url, "blob:" + url)
    page.on("request", lambda r: None if r.url.startswith(own) else complaints.append(r.url))
    page.goto(url + path)
    page.wait_for_selector(STARTED, state="attached")
    page.complaints = complaints
    yield page
    context.close()
    assert complaints == []


@pytest.fixture
def open_page(browser: Any, plain_server: str, tmp_path: Path) -> Iterator[OpenPage]:
    """Opens the page of a server; `picture` keeps what it looks like."""
    with ExitStack() as stack:

        def opened(
            tagger: Any = None, *, settings: Any = None, path: str = "/", **options: Any
        ) -> Any:
            url = plain_server
            if tagger is not None or settings is not None:
                url = stack.enter_context(serving(tagger, **(settings or {})))
            page = stack.enter_context(watched_page(browser, url, path, **options))
            page.picture = lambda name: page.screenshot(
                path=tmp_path / f"{name}.png", full_page=True
            )
            return page

        yield opened
