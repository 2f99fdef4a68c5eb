"""Releases of ejabberd behind the gateway."""

import json
from http.client import HTTPConnection
from typing import Any

from invitereg.accounts.ejabberd import COMMANDS
from tests.peers import servers
from tests.peers.matrix import case
from tests.peers.matrix.table import COMPONENT, EJABBERD
from tests.peers.releases import for_each_release
from tests.service.running import DOMAIN, SECONDS

US, OUR_PASSWORD = "invitereg", "the password of invitereg"
OPERATOR = "127.0.0.9"
PLUS = [f"SCRAM-SHA-{number}-PLUS" for number in (1, 256, 512)]


class Ejabberd(servers.Ejabberd):
    """ejabberd as docs/ejabberd.md sets it up, for both backends."""

    def _configure(self) -> None:
        super()._configure()
        self.proxied_port = self._other_ports[2]
        settings, version = self.settings, self.release.version("ejabberd")
        settings["listen"].append(
            self._listener(
                self.proxied_port,
                "ejabberd_c2s",
                starttls_required=True,
                use_proxy_protocol=True,
            )
        )
        self.keys: dict[str, str] = {}
        settings["disable_sasl_mechanisms"] = PLUS
        settings["modules"]["mod_offline"] = {}
        settings["api_permissions"] = {
            "operator": {"who": {"ip": f"{OPERATOR}/32"}, "what": "*"},
            "invitereg": {
                "from": "mod_http_api",
                "who": {"user": f"{US}@{DOMAIN}"},
                "what": list(COMMANDS),
            },
        }
        if version >= "24":
            settings["disable_sasl_scram_downgrade_protection"] = True
        if version.startswith("24."):
            # With it, no request of a component's to the host is answered.
            del settings["modules"]["mod_privilege"]
            # Within TLS it refuses whoever misses channel binding, whatever is set.
            self.keys = {"tls": "none"}
            for listener in settings["listen"]:
                if listener["module"] == "ejabberd_c2s" and not listener.get("tls"):
                    del listener["starttls_required"]
                    listener["allow_unencrypted_sasl2"] = True
        if version >= "26":
            settings["acl"]["invitereg"] = {"user": f"{US}@{DOMAIN}"}
            settings["access_rules"]["configure"] = [{"allow": "admin"}, {"allow": "invitereg"}]

    def start(self) -> None:
        """See `Server`."""
        super().start()
        self.register(US, OUR_PASSWORD)

    def api(self, command: str, **arguments: Any) -> Any:
        """See `Ejabberd`; asked from an address that may do everything."""
        connection = HTTPConnection(
            "127.0.0.1", self.http_port, timeout=SECONDS, source_address=(OPERATOR, 0)
        )
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", f"/api/{command}", json.dumps(arguments), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        assert answer.status == 200, text
        return json.loads(text)


@for_each_release
class EjabberdTests(case.GatewayCase):
    kind = Ejabberd
    table = EJABBERD

    @classmethod
    def backend_settings(cls) -> str:
        """See `ReleaseCase`."""
        password = cls.server.folder / "password"
        password.write_text(OUR_PASSWORD)
        url = f"http://127.0.0.1:{cls.server.http_port}/api"
        keys = f"url: '{url}', user: {US}@{DOMAIN}, password_file: {password}"
        return f"accounts: {{backend: ejabberd, {keys}}}"

    def address_logged(self, port: int) -> str:
        """See `GatewayCase`."""
        return f"Accepted proxied connection 127.0.0.1:{port} -> "


@for_each_release
class ComponentTests(case.ReleaseCase):
    """The same server with the other backend."""

    kind = Ejabberd
    table = COMPONENT
