"""Releases of Prosody behind the gateway."""

from tests.peers import servers
from tests.peers.matrix import case
from tests.peers.matrix.table import PROSODY
from tests.peers.releases import for_each_release


class Prosody(servers.Prosody):
    """Prosody as docs/prosody.md sets it up, with all of its modules that gateways pass."""

    def _configure(self) -> None:
        super()._configure()
        self.proxied_port = self._other_ports[0]
        self.keys: dict[str, str] = {}
        self.modules += " register offline"
        if self.release.version("prosody").startswith("0."):
            return
        # Within TLS it offers channel binding, and refuses whoever says that it does not.
        self.keys = {"tls": "none"}
        self.modules += " sasl2 sasl2_bind2 sasl2_sm net_proxy"
        self.settings += [
            f"proxy_ports = {{ {self.proxied_port} }}",
            f'proxy_port_mappings = {{ [{self.proxied_port}] = "c2s" }}',
            'proxy_trusted_proxies = { "127.0.0.1" }',
            "c2s_require_encryption = false",
            "allow_unencrypted_plain_auth = true",
        ]


@for_each_release
class ProsodyTests(case.GatewayCase):
    kind = Prosody
    table = PROSODY

    def address_logged(self, port: int) -> str:
        """See `GatewayCase`."""
        return f"127.0.0.1:{port}"
