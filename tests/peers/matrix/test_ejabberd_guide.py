"""The operators' guide for ejabberd, followed line by line with Debian's own file."""

import asyncio
import base64
import json
import re
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import IsolatedAsyncioTestCase, TestCase

import yaml

from invitereg.accounts.ejabberd import needed
from invitereg.accounts.ejabberdapi import Access
from invitereg.cli.onlinecheck import ServerLog
from tests.peers import servers
from tests.peers.releases import Release, for_each_release
from tests.peers.servers import DOMAIN
from tests.service.running import SECONDS, free_ports, within_bounds
from tests.service.wire import NS_SASL, Wire

GUIDE = Path(__file__).parents[3] / "docs/ejabberd.md"
PASSWORD = "a password of invitereg's own"
BIND = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
KEPT_PERMISSIONS = ("console commands", "webadmin commands", "adhoc commands")
# What needs names or addresses that a test has not.
NOT_HERE = ("mod_proxy65", "mod_stun_disco", "mod_mqtt", "mod_http_upload")


class Debian(servers.Ejabberd):
    """An ejabberd as its package leaves it, but on loopback and ports of a test's own."""

    def _configure(self) -> None:
        super()._configure()
        ours = self.settings
        root = self.release.root or Path("/")
        self.settings = settings = yaml.safe_load(
            (root / "etc/ejabberd/ejabberd.yml").read_text()
        )
        settings["certfiles"] = ours["certfiles"]
        settings["listen"] = ours["listen"]
        # In place of ejabberdctl, which reaches no node within a root.
        settings["api_permissions"]["public commands"]["what"] = "*"
        for module in NOT_HERE:
            settings["modules"].pop(module, None)


def blocks(number: int) -> list[Any]:
    """The YAML of a step of the guide."""
    text = GUIDE.read_text(encoding="utf-8")
    step = text.partition(f"\n**{number}. ")[2].partition(f"\n**{number + 1}. ")[0]
    found = re.findall(r"```yaml\n(.*?)```", step, re.DOTALL)
    return [yaml.safe_load(block.replace("example.com", DOMAIN)) for block in found]


def check_online(config: Path) -> "subprocess.CompletedProcess[str]":
    """What ``invitereg check --online`` says and returns."""
    words = [sys.executable, "-m", "invitereg", "--config", str(config)]
    return subprocess.run(
        [*words, "check", "--online"],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


class HintTests(TestCase):
    def test_same_lines(self) -> None:
        """Where something is not allowed, invitereg says the very lines of the guide."""
        access = Access(url="http://127.0.0.1:5281/api", user=f"invitereg@{DOMAIN}")
        *_others, permissions, rights = blocks(4)
        said = yaml.safe_load(needed(access, DOMAIN, (26, 7)))
        self.assertEqual(said, {**permissions, **rights})


@for_each_release
class GuideTests(IsolatedAsyncioTestCase):
    release: Release

    def setUp(self) -> None:
        self.peer = Debian(release=self.release)
        self.addCleanup(self.peer.remove)
        version = tuple(map(int, self.release.version("ejabberd").split(".")[:2]))
        self.is_newest, self.refuses_tls = version >= (26, 7), version == (24, 12)
        self.ports = free_ports(3)

    def follow(self) -> None:
        """Change the server's file as step 4 says."""
        settings = self.peer.settings
        _certificates, listeners, mechanisms, unsigned, clear, *rest = blocks(4)
        hidden, permissions, rights = rest
        clients, api = listeners
        clients["port"], api["port"], _unproxied = self.ports
        unproxied = {**clients, "port": self.ports[2], "tls": True}
        del unproxied["use_proxy_protocol"], unproxied["starttls_required"]
        if self.refuses_tls:
            del clients["starttls_required"], clients["protocol_options"]
            clients |= clear
        settings["listen"] = [clients, api, unproxied]
        settings["disable_sasl_mechanisms"] += mechanisms
        settings.update(hidden)
        kept = settings["api_permissions"].items()
        settings["api_permissions"] = {
            **{name: rule for name, rule in kept if name in KEPT_PERMISSIONS},
            **permissions["api_permissions"],
        }
        if self.is_newest:
            settings["acl"].update(rights["acl"])
            settings["append_host_config"] = rights["append_host_config"]
            settings |= unsigned
        self.assertEqual(settings["access_rules"]["c2s"], {"deny": "blocked", "allow": "all"})
        self.assertTrue(
            {"mod_admin_extra", "mod_http_api", "mod_roster"} <= settings["modules"].keys()
        )
        self.assertTrue({"mod_register", "mod_invites"}.isdisjoint(settings["modules"]))
        (self.peer.folder / "ejabberd.yml").write_text(json.dumps(settings))

    def write_config(self, folder: Path) -> Path:
        """Write invitereg's file as step 3 says."""
        (config,) = blocks(3)
        config["tls"] = {
            "certificate": str(self.peer.certificate),
            "private_key": str(self.peer.folder / "privkey.pem"),
        }
        config["c2s"]["upstream"]["connect"] = f"tcp:127.0.0.1:{self.ports[0]}"
        trust = {"tls": "none"} if self.refuses_tls else {"ca": str(self.peer.certificate)}
        del config["c2s"]["upstream"]["ca"]
        config["c2s"]["upstream"] |= trust
        config["accounts"]["url"] = f"http://127.0.0.1:{self.ports[1]}/api"
        (folder / config["accounts"]["password_file"]).write_text(PASSWORD)
        (folder / config["accounts"]["password_file"]).chmod(0o600)
        config["data_dir"] = str(folder / "data")
        (folder / "data").mkdir(0o700)
        path = folder / "config.yaml"
        path.write_text(yaml.safe_dump(config))
        return path

    async def test_followed(self) -> None:
        """All is allowed by the API, and no more than that; people log in as ever."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        config = self.write_config(Path(folder.name))
        self.peer.start()
        for username in ("invitereg", "romeo"):
            self.peer.api("register", user=username, host=DOMAIN, password=PASSWORD)
        self.follow()
        self.peer.api("reload_config")
        log = ServerLog(self.peer.log)
        done = check_online(config)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(list(log.complaints()), [])
        self.assertTrue(await self.can_log_in("romeo"))
        self.assertEqual(await self.can_log_in("invitereg"), not self.is_newest)

    async def can_log_in(self, username: str) -> bool:
        """Whether an account gets a session over XMPP."""
        context = ssl.create_default_context(cafile=self.peer.certificate)
        line = asyncio.open_connection(
            "127.0.0.1", self.ports[2], ssl=context, server_hostname=DOMAIN
        )
        wire = Wire(*await within_bounds(line))
        self.addCleanup(wire.close)
        await wire.open()
        secret = base64.b64encode(f"\0{username}\0{PASSWORD}".encode()).decode()
        await wire.ask(f"<auth xmlns='{NS_SASL}' mechanism='PLAIN'>{secret}</auth>")
        await wire.open()
        return await wire.iq(BIND) == "result"
