"""Takes the pictures of docs/screenshots anew, from a running service: ``make screenshots``."""

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.peers.browser import DESKTOP, PHONE, Browser
from tests.service.running import ROOT, Service, free_ports

FOLDER = ROOT / "docs" / "screenshots"
PASSWORD = "correct horse battery staple"
# The least colours that look alike: a picture has a third of its bytes then.
_SMALLER = ("pngquant", "--force", "--strip", "--skip-if-larger", "--ext", ".png", "64")
_SITE = """site_name: Example Chat
web: {{external_url: "http://localhost:{port}/", listen: ["tcp:{port}:interface=127.0.0.1"]}}
"""


class Show:
    """A service for example.com, where anna is, who invites."""

    def __init__(self) -> None:
        (port,) = free_ports(1)
        self._service = Service(_SITE.format(port=port))
        config = self._service.config
        config.write_text(
            config.read_text().replace("domain: localhost", "domain: example.com")
        )
        self._service.start()
        self._command("account", "create", "anna", stdin=PASSWORD)

    def close(self) -> None:
        """End the service, and remove all that it has kept."""
        self._service.remove()

    def invitation(self, *options: str) -> str:
        """Return the address of a new invitation's page."""
        made = json.loads(
            self._command("invite", "create", "--inviter", "anna", "--json", *options)
        )
        address: str = made["landing_url"]
        return address

    def _command(self, *words: str, stdin: str = "") -> str:
        program = Path(sys.executable).with_name("invitereg")
        command = (str(program), "--config", str(self._service.config), *words)
        done = subprocess.run(
            command, input=stdin, stdout=subprocess.PIPE, text=True, check=True
        )
        return done.stdout


def invitation(show: Show, browser: Browser) -> None:
    """An invitation to an account, with a contact."""
    browser.open(show.invitation("--contact"))


def contact(show: Show, browser: Browser) -> None:
    """An invitation for people who have an account."""
    browser.open(show.invitation("--contact", "--no-registration"))


def mistake(show: Show, browser: Browser) -> None:
    """The form, with what is wrong in it."""
    browser.open(show.invitation("--contact") + "/register")
    browser.fill(username="root", password=PASSWORD)
    browser.follow("[type=submit]")


def done(show: Show, browser: Browser) -> None:
    """The page after the form."""
    browser.open(show.invitation("--contact") + "/register")
    browser.fill(username="juliet", password=PASSWORD)
    browser.follow("[type=submit]")


PICTURES: dict[str, tuple[Any, dict[str, Any]]] = {
    "invitation-phone": (invitation, {"size": PHONE, "device": "android"}),
    "invitation-iphone": (invitation, {"size": PHONE, "device": "ios"}),
    "invitation-desktop-dark": (
        invitation,
        {"size": DESKTOP, "device": "windows", "dark": True},
    ),
    "contact-phone": (contact, {"size": PHONE, "device": "ios"}),
    "form-phone-dark": (mistake, {"size": PHONE, "device": "android", "dark": True}),
    "done-phone": (done, {"size": PHONE, "device": "android"}),
}


def main() -> None:
    """Take each picture, and make it small."""
    with closing(Show()) as show:
        for name, (way, look) in PICTURES.items():
            with closing(Browser(**look)) as browser:
                way(show, browser)
                (FOLDER / f"{name}.png").write_bytes(browser.whole_page())
    files = [str(FOLDER / f"{name}.png") for name in PICTURES]
    subprocess.run([*_SMALLER, *files], check=True)


if __name__ == "__main__":
    main()
