"""The guide to a component beside ejabberd's API, followed with each release."""

import re
from pathlib import Path
from unittest import TestCase

import yaml

from tests.peers import servers
from tests.peers.gateway import start
from tests.peers.matrix.test_ejabberd_guide import check_online
from tests.peers.releases import Release, for_each_release
from tests.peers.servers import COMPONENT, DOMAIN
from tests.service.running import Service, free_ports

GUIDE = Path(__file__).parents[3] / "docs/component.md"
LISTENERS, SETTINGS = (
    yaml.safe_load(block.replace("invites.example.com", COMPONENT))
    for block in re.findall(r"```yaml\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)[:2]
)
SECRET = LISTENERS[0]["hosts"][COMPONENT]["password"]


@for_each_release
class BesideTests(TestCase):
    release: Release

    def follow(self, privilege: bool) -> Service:
        """Start a site beside a server, where the guide was followed."""
        peer = servers.Ejabberd(release=self.release)
        self.addCleanup(peer.remove)
        peer.settings["listen"] = [
            {**one, **LISTENERS[0], "port": one["port"]}
            if one["module"] == "ejabberd_service"
            else one
            for one in peer.settings["listen"]
        ]
        if not privilege:
            del peer.settings["modules"]["mod_privilege"]
        peer.start()
        (port,) = free_ports(1)
        component = SETTINGS["component"] | {"connect": f"tcp:127.0.0.1:{peer.component_port}"}
        service = Service(
            yaml.safe_dump(
                {
                    "component": component,
                    "accounts": {
                        "backend": "ejabberd",
                        "url": f"http://127.0.0.1:{peer.http_port}/api",
                    },
                    "web": {
                        "external_url": f"http://localhost:{port}/",
                        "listen": [f"tcp:{port}:interface=127.0.0.1"],
                    },
                }
            )
        )
        self.addCleanup(service.remove)
        (service.folder / component["secret_file"]).write_text(SECRET)
        config = yaml.safe_load(service.config.read_text())
        config["c2s"] = {"listen": [], "listen_tls": []}
        del config["tls"]
        service.data.mkdir(0o700)
        service.config.write_text(yaml.safe_dump(config))
        return service

    def test_followed(self) -> None:
        """Nothing is missing then, whether the service runs or not."""
        service = self.follow(privilege=False)
        for prepare in (lambda _service: None, start):
            prepare(service)
            done = check_online(service.config)
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_with_privilege(self) -> None:
        """With ejabberd 24.12, what must be removed is said by the check, and at the start."""
        service = self.follow(privilege=True)
        done = check_online(service.config)
        is_deaf = self.release.version("ejabberd").startswith("24.12")
        said = f"{DOMAIN} answers no request of its component {COMPONENT}"
        self.assertEqual(said in done.stderr, is_deaf)
        self.assertEqual("remove mod_privilege" in done.stderr, is_deaf)
        self.assertEqual(done.returncode, 2 if is_deaf else 0)
