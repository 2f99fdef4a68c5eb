"""What SIGHUP does."""

import signal
import ssl

from invitereg.runtime.tls import write_certificate
from tests.peers.gateway import command
from tests.service.running import DOMAIN, SECONDS, Service
from tests.service.test_process import ProcessCase
from tests.service.wire import Wire

# As if ejabberd was there.
BACKEND = "{backend: ejabberd, url: 'http://127.0.0.1:9/api'}"


class ReloadTests(ProcessCase):
    def edit(self, service: Service, old: str, new: str) -> None:
        service.config.write_text(service.config.read_text().replace(old, new))

    def hang_up(self, service: Service) -> None:
        assert service._process is not None
        service._process.send_signal(signal.SIGHUP)

    async def test_policy_and_certificate(self) -> None:
        """A new policy and a new certificate hold at once, and no connection is dropped."""
        service = self.service("policy: {registration_invite_only: true}")
        service.start()
        before = await Wire.connect(service)
        self.addCleanup(before.close)
        self.edit(service, "registration_invite_only: true", "registration_invite_only: false")
        write_certificate(service.folder, DOMAIN)
        self.hang_up(service)
        await service.logged("reloaded ")
        self.assertEqual(await before.register("juliet", service.secret()), "result")
        with self.assertRaises(ssl.SSLError):
            await Wire.connect(service)  # which still trusts the old certificate alone
        service.client_context = ssl.create_default_context(cafile=service.certificate)
        after = await Wire.connect(service)
        self.addCleanup(after.close)
        self.assertStops(service)

    async def test_former_admin(self) -> None:
        """Whoever takes an admin off the list is told what stays open, and what ends it."""
        service = self.service(f"admins: [romeo@{DOMAIN}, juliet@{DOMAIN}]")
        service.start()
        self.edit(service, f"romeo@{DOMAIN}, ", "")
        self.hang_up(service)
        ending = f"invitereg invite revoke --source adhoc:romeo@{DOMAIN}"
        await service.logged(f"romeo@{DOMAIN} is no admin any more; .*{ending}")
        self.assertStops(service)

    async def test_mistakes(self) -> None:
        """A file with mistakes is refused whole; the old policy stays in force."""
        service = self.service("policy: {allow_registration: true}")
        service.start()
        token = service.invite()
        self.edit(service, "allow_registration: true", "allow_registration: false, colour: red")
        self.hang_up(service)
        await service.logged("not reloaded.*colour: unknown key")
        await self.register(service, "juliet", token)
        self.assertStops(service)

    async def test_every_mistake(self) -> None:
        """Each mistake has a line of its own, with its level."""
        service = self.service("policy: {allow_registration: true}")
        service.start()
        self.edit(service, "allow_registration: true", "colour: red, taste: sweet")
        self.hang_up(service)
        for key in ("colour", "taste"):
            await service.logged(rf"#error\] not reloaded, .*: policy.{key}: unknown key")
        self.assertStops(service)

    async def test_doubts(self) -> None:
        """What may not be meant in the policy is told at the start and at each reload."""
        service = self.service("policy: {usernames: {pattern: '[0-9]+'}}")
        service.start()
        told = (
            r"#warn\] look at the policy: localhost: policy.usernames.pattern: does not match"
        )
        await service.logged(rf"{told} .*: \[0-9\]\+")
        self.edit(service, "[0-9]+", "[:alnum:]+")
        self.hang_up(service)
        await service.logged(rf"{told} .*: \[:alnum:\]\+; \[:alnum:\] stands for")
        self.assertStops(service)

    async def test_what_needs_a_restart(self) -> None:
        """What cannot change while it runs is named, and the rest is taken over."""
        service = self.service("policy: {allow_registration: true}\nkeep_addresses: 1d")
        service.start()
        self.edit(service, "limits: {", "limits: {work_queue: 99, ")
        self.edit(service, "data_dir: data", "data_dir: elsewhere")
        self.hang_up(service)
        await service.logged("restart to change data_dir, work_queue")
        self.edit(service, "data_dir: elsewhere", "data_dir: data")
        await self.register(service, "juliet", service.invite())
        self.assertStops(service)

    async def test_first_site(self) -> None:
        """That a site is served only after a restart is told, as long as there was none."""
        service = self.service("policy: {allow_registration: true}")
        service.start()
        self.edit(service, "policy:", "web: {external_url: 'http://localhost/'}\npolicy:")
        self.hang_up(service)
        await service.logged(r"restart to change web \(no site is served yet\)")
        self.assertStops(service)

    async def test_server_behind(self) -> None:
        """That an upstream server is not there delays nothing; to change it needs a restart."""
        service = self.service(f"accounts: {BACKEND}", upstream="{connect: 'tcp:127.0.0.1:9'}")
        service.start()
        await service.logged("the server of localhost at tcp:127.0.0.1:9 is not used: ")
        wire = await Wire.connect_only(service)
        self.addCleanup(wire.close)
        wire.send(wire.header)
        self.assertEqual(await wire.goodbye(), "remote-connection-failed")
        self.edit(service, "tcp:127.0.0.1:9", "tcp:127.0.0.1:10")
        self.hang_up(service)
        await service.logged("restart to change c2s")
        self.assertStops(service)

    async def test_server_behind_one_domain(self) -> None:
        """One domain's server is named, too."""
        service = self.service(
            "domains: {localhost: {c2s: {upstream: {connect: 'unix:/x'}}, "
            f"accounts: {BACKEND}}}}}"
        )
        self.edit(service, f"domain: {DOMAIN}\n", "")
        service.start()
        self.edit(service, "unix:/x", "unix:/y")
        self.hang_up(service)
        await service.logged("restart to change c2s.upstream")
        self.assertStops(service)

    async def test_gateway_without_backend(self) -> None:
        """A gateway whose accounts would be made elsewhere is refused by all who read it."""
        said = "c2s.upstream: clients would log in at that server, and accounts be made elsewh"
        upstream = "{connect: 'tcp:127.0.0.1:9'}"
        service = self.service("", upstream=upstream)
        checked = command(service, "check")
        self.assertEqual((checked.returncode, checked.stdout), (2, ""))
        self.assertIn(f"{service.config}:4: {said}", checked.stderr)
        self.assertEqual(service.launch().wait(SECONDS), 1)
        self.assertIn(f"{service.config}:4: {said}", service.log_text())
        self.edit(service, f", upstream: {upstream}", "")
        service.start()
        token = service.invite()
        self.edit(service, "c2s: {", f"c2s: {{upstream: {upstream}, ")
        self.hang_up(service)
        await service.logged(f"not reloaded, the old configuration stays: .*{said}")
        await self.register(service, "juliet", token)
        self.assertStops(service)
