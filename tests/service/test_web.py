"""The site in the service as it runs: with its own TLS, and read again."""

import asyncio
import signal
import socket
import urllib.error
import urllib.request

from tests.service.running import ServiceCase, free_ports


class WebTests(ServiceCase):
    (web_port,) = free_ports(1)
    settings = (
        "web:\n"
        f"  external_url: https://localhost:{web_port}/chat/\n"
        "  listen: []\n"
        f"  listen_tls: ['tcp:{web_port}:interface=127.0.0.1']\n"
        "  colours: {light: '#004400'}\n"
    )

    async def get(self, path: str) -> tuple[int, str]:
        """Status and body of a page, by a client that trusts the certificate."""
        return await asyncio.to_thread(self._get, path)

    def _get(self, path: str) -> tuple[int, str]:
        address = f"https://localhost:{self.web_port}/chat/{path}"
        context = self.service.client_context
        try:
            with urllib.request.urlopen(address, context=context, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    async def test_own_tls(self) -> None:
        """Without a proxy, the site has TLS of its own, below the path that it is set to."""
        status, page = await self.get(f"invite/{self.service.invite()}")
        self.assertEqual(status, 200)
        self.assertIn('href="/chat/static/style.css?v=', page)
        self.assertEqual((await self.get("invite/nosuch"))[0], 404)

    async def test_no_plain_text(self) -> None:
        """What is not TLS gets no page on that port."""

        def ask() -> bytes:
            with socket.create_connection(("127.0.0.1", self.web_port), 30) as client:
                client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                return client.recv(1000)

        self.assertNotIn(b"HTTP", await asyncio.to_thread(ask))

    async def test_reload(self) -> None:
        """Colours, texts and apps are read again on SIGHUP; where to listen is not."""
        self.assertIn("#004400", (await self.get("static/theme.css"))[1])
        text = self.service.config.read_text()
        self.service.config.write_text(text.replace("#004400", "#440000"))
        assert self.service._process is not None
        self.service._process.send_signal(signal.SIGHUP)
        await self.service.logged("reloaded ")
        self.assertIn("#440000", (await self.get("static/theme.css"))[1])
        self.assertNotIn("#004400", (await self.get("static/theme.css"))[1])

    async def test_landing_url(self) -> None:
        """The operator's command prints the address at which the page is."""
        with self.service.operator() as operator:
            landing_url = operator.issuer.domains["localhost"].landing_url
        self.assertEqual(landing_url, f"https://localhost:{self.web_port}/chat/invite/")
