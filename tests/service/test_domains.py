"""One service for several domains."""

import asyncio
import re
import ssl

from invitereg.runtime.tls import write_certificate
from tests.service.running import DOMAIN, Service, until, within_bounds
from tests.service.test_process import ProcessCase
from tests.service.wire import HEADER, Wire

OTHER = "other.localhost"
MECHANISM = "{urn:ietf:params:xml:ns:xmpp-sasl}mechanism"


class DomainsTests(ProcessCase):
    """What is one domain's does not hold for the other."""

    def two_domains(self) -> Service:
        service = self.service()
        own = service.folder / "other"
        own.mkdir()
        write_certificate(own, OTHER)
        text = service.config.read_text()
        service.config.write_text(
            text.replace(
                f"domain: {DOMAIN}\n",
                f"domains:\n  {DOMAIN}:\n  {OTHER}:\n"
                "    tls: {certificate: other/fullchain.pem, private_key: other/privkey.pem}\n"
                "    policy: {registration_invite_only: false}\n",
            )
        )
        service.start()
        return service

    async def connect(self, service: Service, domain: str, *, starttls: bool = False) -> Wire:
        """A secured stream to ``domain``, whose certificate is the only one trusted."""
        folder = service.folder / "other" if domain == OTHER else service.folder
        context = ssl.create_default_context(cafile=folder / "fullchain.pem")
        port = service.port if starttls else service.tls_port
        tls = {} if starttls else {"ssl": context, "server_hostname": domain}
        opening = asyncio.open_connection("127.0.0.1", port, **tls)
        wire = Wire(*await within_bounds(opening))
        self.addCleanup(wire.close)
        wire.header = HEADER.replace(f"to='{DOMAIN}'", f"to='{domain}'")
        self.features = await wire.open()
        if starttls:
            await wire.ask("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            # No name by SNI, as some clients: what it said in its header is enough.
            context.check_hostname = False
            await within_bounds(wire._writer.start_tls(context))
            self.features = await wire.open()
        return wire

    async def test_certificates_and_policies(self) -> None:
        """Each has its certificate on both ports, its policy, its invites and its accounts."""
        service = self.two_domains()
        token, password = service.invite(), service.secret()
        for starttls in (False, True):
            closed = await self.connect(service, DOMAIN, starttls=starttls)
            self.assertEqual(await closed.register("romeo", password), "forbidden")
            open_to_all = await self.connect(service, OTHER, starttls=starttls)
            self.assertEqual(await open_to_all.preauth(token), "item-not-found")
            name = f"juliet{starttls}"
            self.assertEqual(await open_to_all.register(name, password), "result")
            self.assertEqual(await open_to_all.login(name, password), "success")
            self.assertEqual(await closed.login(name, password), "not-authorized")
        self.assertEqual(await closed.preauth(token), "result")
        self.assertEqual(await closed.register("julietTrue", password), "result")
        self.assertStops(service)

    async def test_unknown(self) -> None:
        """A stream to a domain that is not served gets host-unknown."""
        service = self.two_domains()
        wire = await self.connect(service, DOMAIN)
        opening = asyncio.open_connection("127.0.0.1", service.port)
        reader, writer = await within_bounds(opening)
        self.addCleanup(writer.close)
        writer.write(HEADER.replace(DOMAIN, "third.localhost").encode())
        answer = await within_bounds(reader.read())
        self.assertIn(b"<host-unknown", answer)
        wire.close()
        self.assertStops(service)

    async def test_added_while_running(self) -> None:
        """A reload may add a domain, which is served at once; to remove one needs a restart."""
        service = self.two_domains()
        text = service.config.read_text()
        service.config.write_text(text.replace(f"  {DOMAIN}:\n", "  third.localhost:\n"))
        assert service._process is not None
        service._process.send_signal(1)
        await service.logged(rf"restart to change domains \(still served: {DOMAIN}\)")
        await service.logged("reloaded ")
        context = ssl.create_default_context(cafile=service.certificate)
        context.check_hostname = False
        reader, writer = await within_bounds(
            asyncio.open_connection(
                "127.0.0.1", service.tls_port, ssl=context, server_hostname="third.localhost"
            )
        )
        self.addCleanup(writer.close)
        writer.write(HEADER.replace(DOMAIN, "third.localhost").encode())
        answer = await within_bounds(reader.readuntil(b"</stream:features>"))
        self.assertIn(b'from="third.localhost"', answer)
        writer.close()
        self.assertStops(service)

    async def test_added_with_a_server(self) -> None:
        """A reload serves no domain whose accounts are at a server not connected to yet."""
        service = self.two_domains()
        third = "third.localhost"
        text = service.config.read_text()
        upstream = (
            "accounts: {backend: ejabberd, url: 'http://127.0.0.1:9/api'}",
            "c2s: {upstream: {connect: 'tcp:127.0.0.1:9'}}, "
            "accounts: {backend: ejabberd, url: 'http://127.0.0.1:9/api'}",
        )
        assert service._process is not None
        said = rf"restart to change domains \(not served yet: {third}\)"
        for count, keys in enumerate(upstream, 1):

            def told(count: int = count) -> bool:
                return len(re.findall(said, service.log_text())) == count

            added = text.replace(f"  {DOMAIN}:\n", f"  {DOMAIN}:\n  {third}: {{{keys}}}\n")
            service.config.write_text(added)
            service._process.send_signal(1)
            await until(told, "it is not said that a restart is needed")
            reader, writer = await within_bounds(
                asyncio.open_connection("127.0.0.1", service.port)
            )
            writer.write(HEADER.replace(DOMAIN, third).encode())
            self.assertIn(b"<host-unknown", await within_bounds(reader.read()))
            writer.close()
        self.assertStops(service)

    async def test_own_way_to_keep_passwords(self) -> None:
        """How a domain keeps passwords holds for it, and for no other."""
        service = self.two_domains()
        text = service.config.read_text()
        own = f"  {OTHER}:\n    accounts: {{scram_iterations: 5000, scram_sha_1: true}}\n"
        service.stop()
        service.config.write_text(text.replace(f"  {OTHER}:\n", own))
        service.start()
        for domain, offered in ((DOMAIN, ["SCRAM-SHA-256", "PLAIN"]), (OTHER, None)):
            await self.connect(service, domain)
            expected = offered or ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"]
            mechanisms = [element.text for element in self.features.iter(MECHANISM)]
            self.assertEqual(mechanisms, expected)
        self.assertStops(service)
