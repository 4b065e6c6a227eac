"""A real browser on a dashboard that ``growth dashboard`` serves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Response, sync_playwright

from growth.settings import Warehouse
from support.compose import free_port, wait_for

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
DRAWN = """
() => document.querySelector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    && !document.querySelector('[data-testid="stSkeleton"]')
    && [...document.querySelectorAll('[data-testid="stPlotlyChart"]')].every(each => each.querySelector('.main-svg'))
    && document.querySelector('[data-testid="stPlotlyChart"], [data-testid="stAlert"], [data-testid="stDataFrame"]')
"""
HEIGHT = "() => document.querySelector('[data-testid=\"stMain\"]').scrollHeight"
OVERFLOW = "() => document.documentElement.scrollWidth - innerWidth"


@contextmanager
def served(warehouse: Warehouse, log: Path) -> Iterator[str]:
    """The address of a dashboard over a warehouse."""
    port = free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("growth"), "dashboard", "--port", str(port)],
            env={**os.environ, **warehouse.environment()},
            stdout=output,
            stderr=output,
        )
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        with urllib.request.urlopen(f"{address}/_stcore/health", timeout=5) as answer:
            return bool(answer.status == 200)

    try:
        wait_for(answers, 60)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium of the system; where there is none the test is skipped, in CI it fails."""
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if binary is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI needs Chromium")
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        yield browser
        browser.close()


class Reader:
    """A tab, and everything that went wrong in it."""

    def __init__(self, browser: Browser, address: str, *, scheme: str = "light") -> None:
        self.address = address
        context = browser.new_context(viewport=DESK, color_scheme=scheme, accept_downloads=True)  # type: ignore[arg-type]
        self.page: Page = context.new_page()
        self.problems: list[str] = []
        self.page.on("console", lambda said: self._note(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self._note(str(error)))
        self.page.on("request", lambda request: self._judge(request.url))
        self.page.on("response", self._answered)

    def open(self, parameters: Mapping[str, str]) -> None:
        """Go to an address and wait until everything is drawn."""
        self.page.set_viewport_size(DESK)  # type: ignore[arg-type]
        self.page.goto(f"{self.address}/?{urllib.parse.urlencode(parameters)}")
        self.drawn()

    def drawn(self) -> None:
        """Wait until the page is at rest."""
        self.page.wait_for_function(DRAWN, timeout=60_000)

    def shoot(self, path: Path, size: dict[str, int]) -> int:
        """Picture of the whole page; returns by how many pixels it is too wide."""
        self.page.set_viewport_size(size)  # type: ignore[arg-type]
        self.page.wait_for_timeout(150)
        tall = {**size, "height": max(size["height"], self.page.evaluate(HEIGHT))}
        self.page.set_viewport_size(tall)  # type: ignore[arg-type]
        self.drawn()
        self.page.wait_for_timeout(300)  # figures take their new width
        self.page.screenshot(path=path)
        return int(self.page.evaluate(OVERFLOW))

    def _note(self, text: str) -> None:
        self.problems.append(text)

    def _judge(self, url: str) -> None:
        if not url.startswith((self.address, "data:", "blob:")):
            self._note(f"asks another machine: {url}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self._note(f"{response.status} {response.url}")
