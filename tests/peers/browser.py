"""Debian's Chromium, headless, as people with phones and desktops have it."""

import base64
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.peers import require_peer
from tests.service.running import ROOT, SECONDS

webdriver = require_peer("selenium.webdriver")
WebDriverWait = require_peer("selenium.webdriver.support.ui").WebDriverWait
exceptions = require_peer("selenium.common.exceptions")

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
AXE = ROOT / "build" / "node_modules" / "axe-core" / "axe.min.js"
REQUIRED = os.environ.get("INVITEREG_REQUIRE_PEERS") == "1"
SCREENSHOTS = os.environ.get("INVITEREG_SCREENSHOTS")
"""A folder to keep pictures of the pages in; by default none are taken."""

PHONE, DESKTOP, NARROW = (390, 844), (1280, 800), (320, 700)
AGENTS = {
    "android": "Mozilla/5.0 (Linux; Android 15; Pixel 9) Chrome/140.0 Mobile Safari/537.36",
    "ios": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 "
    "Safari/604.1",
    "windows": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0 Safari/537.36",
    "linux": "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0 Safari/537.36",
}

if not (CHROMIUM and DRIVER and shutil.which("zbarimg") and AXE.exists()) and not REQUIRED:
    reason = (
        "apt-get install chromium chromium-driver zbar-tools npm; "
        "npm install --no-save --prefix build axe-core"
    )
    pytest.skip(reason, allow_module_level=True)


def seen_by_camera(picture: bytes) -> str:
    """What the QR code in a picture says, as zbar reads it."""
    command = ["zbarimg", "--quiet", "--raw", "-"]
    return subprocess.run(command, input=picture, capture_output=True).stdout.decode().strip()


class Browser:
    """One window with a profile of its own."""

    def __init__(
        self,
        size: tuple[int, int] = DESKTOP,
        *,
        scripts: bool = True,
        dark: bool = False,
        language: str = "en",
        device: str = "",
    ) -> None:
        """Open it; ``device`` is one of `AGENTS`, by default Android or Linux, by the size."""
        agent = AGENTS[device or ("android" if size[0] < 800 else "linux")]
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-agent={agent}",
            f"--accept-lang={language}",
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(DRIVER)
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.set_page_load_timeout(SECONDS)
        self.size, self.dark = size, dark
        colours = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        width, height = size
        self._tell("Emulation.setEmulatedMedia", features=[colours])
        self._tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 800,
        )
        if not scripts:
            self._tell("Emulation.setScriptExecutionDisabled", value=True)

    def _tell(self, command: str, **values: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, values)

    def close(self) -> None:
        """Close it, and end its processes."""
        self.driver.quit()

    def open(self, address: str) -> None:
        """Open a page."""
        self.driver.get(address)

    def find(self, selector: str) -> Any:
        """The first element that a CSS selector finds."""
        return self.driver.find_element("css selector", selector)

    def focused(self) -> Any:
        """The element that what is typed goes to."""
        return self.driver.switch_to.active_element

    def text(self, selector: str = "main") -> str:
        """What somebody reads there."""
        text: str = self.find(selector).text
        return text

    def seen(self, selector: str) -> list[str]:
        """What somebody reads on each element that is in sight, as after scrolling to it."""
        found = self.driver.find_elements("css selector", selector)
        return [one.text for one in found if one.is_displayed()]

    def bottom(self, selector: str) -> float:
        """Where an element ends, in pixels from the top of the page."""
        place = self.find(selector).rect
        end: float = place["y"] + place["height"]
        return end

    def fill(self, **values: str) -> None:
        """Type into the fields of a form, in place of what is there."""
        for name, value in values.items():
            field = self.find(f"#{name}")
            field.clear()
            field.send_keys(value)

    def press(self, selector: str) -> None:
        """Press a button that does something on the page it is on."""
        self.find(selector).click()

    def follow(self, selector: str) -> None:
        """Press a button or a link that leads to another page, and wait until it is there."""
        left = self.find("html")
        self.press(selector)
        # The browser sends a form in its own time, and may show the old page for a while yet.
        self.until(lambda: _is_gone(left))

    def until(self, condition: Callable[[], Any]) -> None:
        """Wait for what a script, or the browser itself, does in its own time."""
        WebDriverWait(self.driver, SECONDS).until(lambda _driver: condition())

    def complaints(self) -> list[str]:
        """What the browser's console has against the pages so far."""
        log = self.driver.get_log("browser")
        # It notes every page that is not 200 as well, which ours are on purpose.
        return [entry["message"] for entry in log if "Failed to load" not in entry["message"]]

    def named(self) -> set[str]:
        """The address of everything that the page asks for, except what is not yet in sight."""
        found: list[str] = self.driver.execute_script(
            "const all = 'link[rel=stylesheet], script[src], img:not([loading=lazy])';"
            "return [...document.querySelectorAll(all)].map(one => one.href || one.src)"
        )
        return set(found)

    def loaded(self) -> set[str]:
        """The address of everything that the page has loaded so far."""
        script = "return performance.getEntriesByType('resource').map(one => one.name)"
        found: list[str] = self.driver.execute_script(script)
        return set(found)

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        script = "const page = document.documentElement; return page.scrollWidth - innerWidth"
        return int(self.driver.execute_script(script))

    def violations(self) -> list[str]:
        """What axe finds wrong with the page, by the rules of WCAG 2.2 AA and its own."""
        self.driver.execute_script(AXE.read_text(encoding="utf-8"))
        result = self.driver.execute_async_script(
            "const done = arguments[0]; axe.run().then(done, error => done(String(error)))"
        )
        assert isinstance(result, dict), result
        return [
            f"{found['id']}: {node['html'][:120]} {node['failureSummary']}"
            for found in result["violations"]
            for node in found["nodes"]
        ]

    def whole_page(self) -> bytes:
        """A picture of the page from its top to its end, as PNG."""
        size = self._tell("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "scale": 1, "width": size["width"], "height": size["height"]}
        taken = self._tell("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(taken["data"])

    def picture(self, name: str) -> None:
        """Keep a picture of the whole page, where pictures are wanted."""
        if not SCREENSHOTS:
            return
        look = (
            f"{'phone' if self.size == PHONE else 'desktop'}-{'dark' if self.dark else 'light'}"
        )
        (Path(SCREENSHOTS) / f"{name}-{look}.png").write_bytes(self.whole_page())


def _is_gone(element: Any) -> bool:
    """Whether an element's page has been left."""
    try:
        element.is_enabled()
    except exceptions.StaleElementReferenceException:
        return True
    except exceptions.WebDriverException as error:
        # What Chromium says while one page is taken down for the other.
        if "does not belong to the document" not in str(error):
            raise
    return False
