"""A real browser on the pages that a ``growth`` command serves."""

from __future__ import annotations

import shutil
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, HttpCredentials, Page, Response, ViewportSize, sync_playwright
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from support.missing import missing

DESK: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
DRAWN = """
() => document.querySelector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    && !document.querySelector('[data-testid="stSkeleton"]')
    && [...document.querySelectorAll('[data-testid="stPlotlyChart"]')].every(each => each.querySelector('.main-svg'))
    && document.querySelector('[data-testid="stPlotlyChart"], [data-testid="stAlert"], [data-testid="stDataFrame"]')
"""
# Figures and tables take the width of a new screen in their own time.
FILLED = """
size => innerWidth === size.width && innerHeight === size.height
    && Object.entries({stPlotlyChart: '.main-svg', stDataFrame: 'canvas'}).every(([id, inner]) =>
        [...document.querySelectorAll(`[data-testid="${id}"]`)].every(each => Math.abs(
            each.getBoundingClientRect().width - (each.querySelector(inner)?.getBoundingClientRect().width ?? 0)
        ) <= 2))
"""
# Chromium drops every request, also to the loopback address, when a network of Docker comes or goes.
NETWORK_CHANGED = "net::ERR_NETWORK_CHANGED"
HEIGHT = "() => document.querySelector('[data-testid=\"stMain\"]').scrollHeight"
# The page cuts off what is too wide for it, so its own width does not tell.
FITS = """
() => [...document.querySelectorAll('[data-testid="stMain"] [data-testid]')].every(
    each => each.getBoundingClientRect().right <= innerWidth + 1)
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium of the system."""
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if binary is None:
        missing("no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        yield browser
        browser.close()


class Reader:
    """A tab, and everything that went wrong in it."""

    def __init__(
        self,
        browser: Browser,
        address: str,
        *,
        scheme: Literal["light", "dark"] = "light",
        login: tuple[str, str] | None = None,
    ) -> None:
        """With a login the certificate is taken as it is."""
        self.address = address
        credentials: HttpCredentials | None = {"username": login[0], "password": login[1]} if login else None
        context = browser.new_context(
            viewport=DESK,
            color_scheme=scheme,
            accept_downloads=True,
            http_credentials=credentials,
            ignore_https_errors=login is not None,
        )
        self.page: Page = context.new_page()
        self.problems: list[str] = []
        self.page.on("console", lambda said: self._note(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self._note(str(error)))
        self.page.on("request", lambda request: self._judge(request.url))
        self.page.on("response", self._answered)

    def open(self, parameters: Mapping[str, str]) -> None:
        """Go to an address and wait until everything is drawn, once more where the machine's networks changed."""
        self.page.set_viewport_size(DESK)
        for _ in range(5):
            before, failed = len(self.problems), None
            try:
                self.page.goto(f"{self.address}/?{urllib.parse.urlencode(parameters)}")
                self.drawn()
            except PlaywrightError as error:
                failed = error
            if NETWORK_CHANGED not in f"{failed}{self.problems[before:]}":
                break
            del self.problems[before:]
        if failed is not None:
            raise failed

    def drawn(self) -> None:
        """Wait until the page is at rest."""
        self.page.wait_for_function(DRAWN, timeout=60_000)

    def fits(self, size: ViewportSize, picture: Path | None = None) -> bool:
        """Whether nothing is wider than a screen; a picture of the whole page is for those who ask for it."""
        self._resize(size)
        try:
            self.page.wait_for_function(FITS, timeout=5_000)  # the page itself moves, too
        except PlaywrightTimeout:
            return False
        if picture is not None:
            tall: ViewportSize = {"width": size["width"], "height": max(size["height"], self.page.evaluate(HEIGHT))}
            self._resize(tall)
            self.page.screenshot(path=picture)
        return True

    def _resize(self, size: ViewportSize) -> None:
        self.page.set_viewport_size(size)
        self.page.wait_for_function(FILLED, arg=size, timeout=30_000)

    def _note(self, text: str) -> None:
        self.problems.append(text)

    def _judge(self, url: str) -> None:
        if not url.startswith((self.address, "data:", "blob:")):
            self._note(f"asks another machine: {url}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self._note(f"{response.status} {response.url}")
