"""Servers with many hosts, and one service before all of them: each has a line of its own.

So what happens on each line happens at once, and a test with a hundred cuts takes no longer
than the longest of them.
"""

import asyncio
import sqlite3
import ssl
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from unittest import IsolatedAsyncioTestCase

from invitereg.usecases.newinvites import NewInvite
from tests.peers.cutline import Line
from tests.peers.servers import SECRET, Ejabberd, Prosody, Server
from tests.service.running import SECONDS, Service, free_ports, outcome, until
from tests.service.wire import HEADER, Wire

INVITER, INVITERS_PASSWORD = "romeo", "a password of romeo's"
AT_ONCE = 30
"""How many register at the same moment."""


class ManyProsody(Prosody):
    """A Prosody with hosts besides its own.

    Attributes:
        hosts: their names, to be set before it starts.
    """

    hosts: Sequence[str] = ()

    def _write(self) -> None:
        super()._write()
        modules = ", ".join(f'"{module}"' for module in self.modules.split())
        with (self.folder / "prosody.cfg.lua").open("a") as config:
            for host in self.hosts:
                component = f"invites.{host}"
                config.write(
                    f'VirtualHost "{host}"\n'
                    f'admins = {{ "{component}" }}; modules_enabled = {{ {modules} }}\n'
                    f'privileged_entities = {{ ["{component}"] = {{ roster = "both" }} }}\n'
                    f'Component "{component}"\n'
                    f'component_secret = "{SECRET}"; modules_enabled = {{ "privilege" }}\n'
                )

    def port_of(self, _host: str) -> int:
        """Where a host's component connects to."""
        return self.component_port

    def register_at(self, host: str, username: str, password: str) -> None:
        """Make an account at one of the hosts, as the operator does."""
        self.control("register", username, host, password)

    def has_contact(self, host: str, owner: str, other: str) -> bool:
        """Whether a roster has an item with subscription both."""
        path = self.folder / "data" / host.replace(".", "%2e") / "roster" / f"{owner}.dat"
        text = path.read_text() if path.exists() else ""
        item = text.partition(f'["{other}@{host}"]')[2].partition("\n\t};")[0]
        return '["subscription"] = "both"' in item


class ManyEjabberd(Ejabberd):
    """An ejabberd with hosts besides its own; see `ManyProsody`."""

    hosts: Sequence[str] = ()

    def _configure(self) -> None:
        super()._configure()
        self._ports: dict[str, int] = {}

    def start(self) -> None:
        """See `Server`."""
        if not self._ports:
            taken = {listener["port"] for listener in self.settings["listen"]}
            taken.add(self._distribution_port)
            free = [port for port in free_ports(len(self.hosts) + 10) if port not in taken]
            self._ports = dict(zip(self.hosts, free, strict=False))
            self.settings["hosts"] += self.hosts
            for host, port in self._ports.items():
                # A component is given what is for any of its listener's.
                mine = {f"invites.{host}": {"password": SECRET}}
                listener = self._listener(port, "ejabberd_service", access="all", hosts=mine)
                self.settings["listen"].append(listener)
            admins = [f"invites.{host}" for host in self.hosts]
            self.settings["acl"] = {"admin": {"server": admins}}
        super().start()

    def port_of(self, host: str) -> int:
        """See `ManyProsody`."""
        return self._ports[host]

    def register_at(self, host: str, username: str, password: str) -> None:
        """See `ManyProsody`."""
        self.api("register", user=username, host=host, password=password)

    def has_contact(self, host: str, owner: str, other: str) -> bool:
        """See `ManyProsody`."""
        items = self.api("get_roster", user=owner, host=host)
        found = {item["jid"]: item["subscription"] for item in items}
        return found.get(f"{other}@{host}") == "both"


@dataclass(frozen=True)
class Kind:
    """How the accounts of some hosts are kept.

    Attributes:
        server: its class.
        backend: of the accounts.
        steps: how many pieces cross the line until somebody is registered.
        contact_steps: how many more until there are contacts; 0 if there never are.
    """

    server: type[ManyProsody] | type[ManyEjabberd]
    backend: str
    steps: int
    contact_steps: int


KINDS = (
    Kind(ManyProsody, "xmpp", 12, 20),
    Kind(ManyEjabberd, "xmpp", 12, 0),
    Kind(ManyEjabberd, "ejabberd", 4, 16),
)


@dataclass
class Front:
    """What clients of one host connect to.

    Attributes:
        host: its name.
        line: from the service to the server.
    """

    host: str
    kind: Kind
    server: Any
    service: Service
    line: Line

    @property
    def name(self) -> str:
        """What it is, for messages of a test that fails."""
        return f"{self.kind.server.__name__} by {self.kind.backend}: {self.host}"

    def section(self) -> str:
        """The configuration of the host."""
        if self.kind.backend == "ejabberd":
            url = f"http://127.0.0.1:{self.line.port}/api"
            return f"{{accounts: {{backend: ejabberd, url: '{url}'}}}}"
        return (
            f"{{component: {{connect: 'tcp:127.0.0.1:{self.line.port}', "
            f"jid: invites.{self.host}, secret_file: component}}, accounts: {{backend: xmpp}}}}"
        )

    async def wire(self, to: Service | Server) -> Wire:
        """A client's stream with TLS, its features read."""
        context = ssl.create_default_context(cafile=to.certificate)
        context.check_hostname = False
        opening = asyncio.open_connection("127.0.0.1", to.tls_port, ssl=context)
        wire = Wire(*await asyncio.wait_for(opening, SECONDS))
        wire.header = HEADER.replace("to='localhost'", f"to='{self.host}'")
        await wire.open()
        return wire


@dataclass(frozen=True)
class Guest:
    """Somebody who has an invite to a host."""

    front: Front
    token: str
    username: str

    async def register(self, password: str) -> str:
        """What comes of it: "result", or the condition of an error."""
        wire = await self.front.wire(self.front.service)
        try:
            known = await wire.preauth(self.token)
            return known if known != "result" else await wire.register(self.username, password)
        finally:
            wire.close()

    async def may_log_in(self, password: str) -> bool:
        """Whether the server itself lets somebody in."""
        wire = await self.front.wire(self.front.server)
        try:
            return await wire.login(self.username, password) == "success"
        finally:
            wire.close()

    def is_contact(self) -> bool:
        """Whether this and the inviter are in each other's rosters at the server."""
        server, host = self.front.server, self.front.host
        pairs = ((self.username, INVITER), (INVITER, self.username))
        return all(server.has_contact(host, one, other) for one, other in pairs)


async def register(guests: Sequence[Guest], password: str) -> list[str]:
    """What comes of it for each: see `Guest.register`."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def attempt(guest: Guest) -> str:
        async with limit:
            return await guest.register(password)

    return await asyncio.gather(*map(attempt, guests))


class ManyHostsCase(IsolatedAsyncioTestCase):
    """Tests that share two servers, their hosts, and a service before them.

    Attributes:
        fronts: a host each.
    """

    servers: ClassVar[dict[type, Any]]
    service: ClassVar[Service]
    fronts: ClassVar[list[Front]]

    @classmethod
    def start(cls, kinds: Sequence[Kind]) -> None:
        """Start it all, with a host for each of ``kinds``; some have an inviter."""
        cls.servers = {}
        hosts = [f"h{number}.localhost" for number in range(len(kinds))]
        pairs = list(zip(hosts, kinds, strict=True))
        for server in {kind.server for kind in kinds}:
            cls.servers[server] = peer = server()
            cls.addClassCleanup(peer.remove)
            peer.hosts = [host for host, kind in pairs if kind.server is server]
            peer.start()
        cls.service = Service()
        cls.addClassCleanup(cls.service.remove)
        cls.fronts = [cls.front(host, kind) for host, kind in pairs]
        (cls.service.folder / "component").write_text(SECRET)
        sections = "\n".join(f"  {front.host}: {front.section()}" for front in cls.fronts)
        text = cls.service.config.read_text()
        cls.service.config.write_text(
            text.replace("domain: localhost", f"domains:\n{sections}")
        )
        cls.service.start()
        asyncio.run(cls.settle_in())

    @classmethod
    def front(cls, host: str, kind: Kind) -> Front:
        server = cls.servers[kind.server]
        xmpp = kind.backend == "xmpp"
        line = Line(server.port_of(host) if xmpp else server.http_port)
        cls.addClassCleanup(line.close)
        return Front(host, kind, server, cls.service, line)

    @classmethod
    async def settle_in(cls) -> None:
        """Wait until all components are connected, and register the inviters."""
        xmpp = [front for front in cls.fronts if front.kind.backend == "xmpp"]
        connected = "#info] component invites."
        await until(
            lambda: cls.service.log_text().count(connected) >= len(xmpp), "not connected"
        )
        inviting = [front for front in cls.fronts if front.kind.contact_steps]
        guests = cls.guests(inviting, INVITER, contact=False)
        answers = await register(guests, INVITERS_PASSWORD)
        assert set(answers) == {"result"}, answers

    @classmethod
    def guests(
        cls, fronts: Sequence[Front], username: str, contact: bool = True
    ) -> list["Guest"]:
        """Who has a new invite, by the host's inviter where there can be contacts."""
        guests = []
        with cls.service.operator() as operator:
            for front in fronts:
                inviter = INVITER if contact and front.kind.contact_steps else None
                new = NewInvite(
                    domain=front.host, source="cli", inviter=inviter, contact=bool(inviter)
                )
                _invite, token = outcome(operator.issuer.create(new))
                guests.append(Guest(front, token, username))
        cls.service.secrets += [guest.token for guest in guests]
        return guests

    def stored(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        """What the store has, read beside the service."""
        path = Path(self.service.data, "invitereg.db")
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return database.execute(query, values).fetchall()

    async def settled(self) -> None:
        """Wait until every registration is decided, and then until all contacts are made."""
        await until(
            lambda: not self.stored("select 1 from leases limit 1"),
            "a registration stays undecided",
        )
        await until(
            lambda: not self.stored("select 1 from errands limit 1"),
            "somebody stays without contacts",
        )

    def uses(self, guest: "Guest") -> int:
        """How many uses are written down for an account."""
        query = "select count(*) from uses where domain = ? and username = ?"
        ((count,),) = self.stored(query, guest.front.host, guest.username)
        return int(count)
