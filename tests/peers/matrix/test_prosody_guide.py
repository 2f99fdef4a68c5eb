"""The operators' guide for Prosody, followed line by line with Debian's own file."""

import re
from pathlib import Path
from unittest import IsolatedAsyncioTestCase

import yaml

from tests.peers import servers
from tests.peers.gateway import start
from tests.peers.matrix.test_ejabberd_guide import check_online
from tests.peers.releases import Release, for_each_release
from tests.peers.servers import COMPONENT, DOMAIN, SECRET
from tests.service.running import Service, until
from tests.service.wire import Wire

GUIDE = Path(__file__).parents[3] / "docs/prosody.md"
TEXT = (
    GUIDE.read_text(encoding="utf-8")
    .replace("invites.example.com", COMPONENT)
    .replace("example.com", DOMAIN)
)
HOST, FILE, CLEAR, PROXIED = re.findall(r"```lua\n(.*?)```", TEXT, re.DOTALL)
(CONFIG,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
MODULES = re.findall(r'`"(\w+)"`', TEXT.partition("### With Prosody 13")[2].partition("##")[0])
PASSWORD = "correct horse"


class Debian(servers.Prosody):
    """A Prosody with the file of its package, but with places and ports of a test's own."""

    follows_more = False

    def _write(self) -> None:
        root = self.release.root or Path("/")
        text = (root / "etc/prosody/prosody.cfg.lua").read_text()
        text = text.partition('VirtualHost "localhost"')[0]
        for place in ("/run/prosody", "/var/log/prosody"):
            text = text.replace(place, str(self.folder))
        self._follow()
        own = [
            f'data_path = "{self.folder}/data"; s2s_ports = {{}}',
            f'log = {{ info = "{self.log}" }}',
            f'ssl = {{ certificate = "{self.certificate}"; '
            f'key = "{self.folder / "privkey.pem"}" }}',
            'Include "conf.d/*.cfg.lua"',
        ]
        (self.folder / "prosody.cfg.lua").write_text("\n".join([text, *own]) + "\n")

    def _follow(self) -> None:
        """Write the files of step 4."""
        host, file = HOST, FILE.replace("SECRET", SECRET)
        if not self.release.version("prosody").startswith("0."):
            file = CLEAR + file
        if self.follows_more:
            file = file.replace("c2s_ports = { 15222 }\n", PROXIED)
            more = ", ".join(f'"{name}"' for name in MODULES)
            host = host.replace('{ "privilege" }', f'{{ "privilege", {more} }}')
        file = file.replace("15222", str(self.port)).replace("5347", str(self.component_port))
        folder = self.folder / "conf.d"
        folder.mkdir(exist_ok=True)
        (folder / f"{DOMAIN}.cfg.lua").write_text(host)
        (folder / "invitereg.cfg.lua").write_text(file)


@for_each_release
class GuideTests(IsolatedAsyncioTestCase):
    release: Release

    def setUp(self) -> None:
        self.peer = Debian(release=self.release)
        self.addCleanup(self.peer.remove)
        self.is_old = self.release.version("prosody").startswith("0.")

    def service(self, **more: str) -> Service:
        """Start the service of step 3."""
        config = yaml.safe_load(CONFIG)
        upstream = config["c2s"]["upstream"] | {
            "connect": f"tcp:127.0.0.1:{self.peer.port}",
            "ca": str(self.peer.certificate),
            **more,
        }
        if not self.is_old:
            del upstream["ca"]
            upstream["tls"] = "none"
        component = config["component"]
        component["connect"] = f"tcp:127.0.0.1:{self.peer.component_port}"
        lines = yaml.safe_dump({"component": component, "accounts": config["accounts"]})
        service = Service(lines, upstream=yaml.safe_dump(upstream, default_flow_style=True))
        self.addCleanup(service.remove)
        (service.folder / component["secret_file"]).write_text(SECRET)
        start(service)
        return service

    async def test_followed(self) -> None:
        """Nothing is missing then, and people log in as ever."""
        self.peer.start()
        self.peer.register("romeo", PASSWORD)
        service = self.service()
        done = check_online(service.config)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        wire = await Wire.connect(service)
        self.addCleanup(wire.close)
        self.assertEqual(await wire.login("romeo", PASSWORD), "success")

    async def test_followed_further(self) -> None:
        """Prosody 13 sees each client's address, and has SASL2."""
        if self.is_old:
            return  # 0.12 has neither
        self.peer.follows_more = True
        self.peer.start()
        self.peer.register("romeo", PASSWORD)
        service = self.service(proxy_protocol="v2")
        done = check_online(service.config)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        wire = await Wire.connect_only(service)
        self.addCleanup(wire.close)
        features = await wire.open()
        self.assertIsNotNone(features.find("{urn:xmpp:sasl:2}authentication"))
        self.assertEqual(await wire.login("romeo", PASSWORD), "success")
        client = f"127.0.0.1:{wire.local_port}"
        await until(lambda: client in self.peer.log_text(), f"never logged: {client}")
