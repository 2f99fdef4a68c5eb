"""Prosody and ejabberd as Debian has them: each in a folder, and on ports, of a test's own.

They are this machine's, unless a test asks for those of another release.
"""

import atexit
import contextlib
import functools
import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from invitereg.model.names import ascii_domain
from invitereg.runtime.tls import write_certificate
from tests.peers.releases import INSTALLED, Release
from tests.service.running import DOMAIN, SECONDS, free_ports, wait_until

COMPONENT = f"invites.{DOMAIN}"
"""The component that may connect, and that counts as an administrator."""
SECRET = "component-secret"
"""What it authenticates with."""


class Server:
    """One server with its folder, its ports, and its process while it runs.

    Attributes:
        port: clients, with STARTTLS.
        tls_port: clients, with TLS at once.
        component_port: XEP-0114.
        certificate: what it shows, and what is to be trusted for it.
        log: what it says.
        domain: its virtual host, as it spells it.
    """

    domain = DOMAIN
    user: str

    def __init__(self, registration: bool = False, release: Release = INSTALLED) -> None:
        """Write a configuration.

        Args:
            registration: leaves it open to everybody.
            release: whose package is run.
        """
        self.registration = registration
        self.release = release
        self.folder = Path(tempfile.mkdtemp(prefix="server-", dir="/tmp"))
        self.port, self.tls_port, self.component_port, *self._other_ports = free_ports(6)
        self.certificate = self.folder / "fullchain.pem"
        self.log = self.folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        write_certificate(self.folder, ascii_domain(self.domain))
        (self.folder / "data").mkdir()
        self._configure()

    # --- the process

    def start(self) -> None:
        """Start it, and wait until it takes clients."""
        self.log.touch()
        self._own()
        with self.log.open("ab") as log:
            self._process = process = subprocess.Popen(
                self._in_release(self._command()),
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._place(),
            )

        def serves() -> bool:
            assert process.poll() is None, f"it ended:\n{self.log_text()}"
            return all(_listens(port) for port in (self.port, self.component_port))

        wait_until(serves, "the server does not start")

    def stop(self) -> None:
        """Stop it in the ordinary way."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it hang, until `thaw`."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGCONT)

    def remove(self) -> None:
        """End it, however it is, and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log_text(self) -> str:
        """Everything it said so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            process.wait(SECONDS)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def _own(self) -> None:
        """Give everything to who is to run it, as no server wants to run as root."""
        if os.geteuid() == 0:
            self.release.own(self.folder, self.user)

    def _in_release(self, words: list[str]) -> list[str]:
        return self.release.command(self.folder, self.user, words)

    def _place(self) -> dict[str, Any]:
        return {"cwd": self.folder, "env": {**os.environ, "HOME": str(self.folder)}}

    def _configure(self) -> None:
        raise NotImplementedError

    def _command(self) -> list[str]:
        raise NotImplementedError

    # --- its accounts

    def register(self, username: str, password: str) -> None:
        """Make an account, as its operator does."""
        raise NotImplementedError

    def unregister(self, username: str) -> None:
        """Remove one."""
        raise NotImplementedError


class Prosody(Server):
    """Prosody.

    Attributes:
        settings: lines of its configuration before those of its host, which a test may change
            before it starts.
        modules: what the host has enabled.
        host: lines of its host's configuration.
    """

    user = "prosody"

    def _configure(self) -> None:
        self.settings = [f'admins = {{ "{COMPONENT}" }}']
        self.modules = "roster saslauth tls disco adhoc admin_adhoc ping smacks privilege"
        self.host = [
            f'privileged_entities = {{ ["{COMPONENT}"] = '
            '{ roster = "both"; message = "outgoing"; presence = "roster" } }'
        ]
        self._program = self.release.program("prosody", "prosody")
        self._control = self.release.program("prosodyctl", "prosody")

    def _write(self) -> None:
        user = self.user if os.geteuid() == 0 else getpass.getuser()
        modules = self.modules + (" register" if self.registration else "")
        lines = [
            f'prosody_user = "{user}"; prosody_group = "{user}"',
            'pidfile = "pid"; data_path = "data"; plugin_paths = {}',
            f'log = {{ info = "{self.log}" }}',
            'interfaces = { "127.0.0.1" }; authentication = "internal_hashed"',
            f"c2s_ports = {{ {self.port} }}; c2s_direct_tls_ports = {{ {self.tls_port} }}",
            f"component_ports = {{ {self.component_port} }}; s2s_ports = {{}}",
            'component_interfaces = { "127.0.0.1" }',
            'modules_disabled = { "s2s" }; allow_registration = '
            + str(self.registration).lower(),
            f'ssl = {{ certificate = "{self.certificate}"; '
            f'key = "{self.folder / "privkey.pem"}" }}',
            *self.settings,
            f'VirtualHost "{self.domain}"',
            f"modules_enabled = {{ {_quoted(modules)} }}",
            *self.host,
            f'Component "{COMPONENT}"',
            f'component_secret = "{SECRET}"; modules_enabled = {{ "privilege" }}',
        ]
        (self.folder / "prosody.cfg.lua").write_text("\n".join(lines) + "\n")

    def start(self) -> None:
        """See `Server`."""
        self._write()
        super().start()

    def _command(self) -> list[str]:
        return [self._program, "--config", str(self.folder / "prosody.cfg.lua"), "-F"]

    def register(self, username: str, password: str) -> None:
        """See `Server`."""
        self.control("register", username, self.domain, password)

    def unregister(self, username: str) -> None:
        """See `Server`."""
        self.control("deluser", f"{username}@{self.domain}")

    def control(self, *arguments: str) -> str:
        """What prosodyctl prints for these arguments, which has to succeed."""
        config = str(self.folder / "prosody.cfg.lua")
        done = subprocess.run(
            self._in_release([self._control, "--config", config, *arguments]),
            check=False,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            **self._place(),
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout


class Ejabberd(Server):
    """ejabberd.

    Attributes:
        settings: its configuration, which a test may change before it starts.
        http_port: its HTTP API, open to whoever is on this machine.
    """

    user = "ejabberd"

    def _configure(self) -> None:
        self.http_port, self._distribution_port, *_others = self._other_ports
        self._program = self.release.program("ejabberdctl", "ejabberd")
        self.settings: dict[str, Any] = {
            "hosts": [self.domain],
            "loglevel": "info",
            "certfiles": [str(self.certificate), str(self.folder / "privkey.pem")],
            "listen": [
                self._listener(self.port, "ejabberd_c2s", starttls_required=True),
                self._listener(self.tls_port, "ejabberd_c2s", tls=True),
                self._listener(
                    self.component_port,
                    "ejabberd_service",
                    access="all",
                    hosts={COMPONENT: {"password": SECRET}},
                ),
                self._listener(
                    self.http_port, "ejabberd_http", request_handlers={"/api": "mod_http_api"}
                ),
            ],
            "acl": {"admin": {"server": [COMPONENT]}},
            "access_rules": {"configure": {"allow": "admin"}},
            "api_permissions": {
                "console": {"from": ["ejabberd_ctl"], "who": "all", "what": "*"},
                "loopback": {"who": {"ip": "127.0.0.0/8"}, "what": "*"},
            },
            "modules": {
                "mod_adhoc": {},
                "mod_admin_extra": {},
                "mod_configure": {},
                "mod_disco": {},
                "mod_http_api": {},
                "mod_ping": {},
                "mod_privilege": {"roster": {"both": "all"}},
                "mod_roster": {},
                "mod_stream_mgmt": {},
            },
        }
        if self.registration:
            # An address may otherwise register once in ten minutes.
            self.settings["modules"]["mod_register"] = {"ip_access": "all"}
            self.settings["registration_timeout"] = "infinity"

    def _listener(self, port: int, module: str, **more: Any) -> dict[str, Any]:
        if module == "ejabberd_c2s":
            more["max_stanza_size"] = 262144
        return {"port": port, "ip": "127.0.0.1", "module": module, **more}

    def write(self) -> None:
        """Write its configuration, which it reads at its start, or with ``reload_config``."""
        # JSON is YAML.
        (self.folder / "ejabberd.yml").write_text(json.dumps(self.settings, indent=1))

    def start(self) -> None:
        """See `Server`."""
        self.write()
        (self.folder / "ejabberdctl.cfg").write_text(
            f"ERLANG_NODE=ejabberd{self.port}@localhost\n"
            # With a port of its own it needs no epmd, which would stay behind.
            f"ERL_DIST_PORT={self._distribution_port}\n"
            "INET_DIST_INTERFACE=127.0.0.1\n"
            f"EJABBERD_CONFIG_PATH={self.folder}/ejabberd.yml\n"
            f"EJABBERD_PID_PATH={self.folder}/pid\n"
            f"CONTRIB_MODULES_CONF_DIR={self.folder}/modules.d\n"
        )
        cookie = self.folder / ".erlang.cookie"
        if not cookie.exists():
            cookie.write_text(f"cookie{self.port}")
            cookie.chmod(0o400)
        super().start()

    def stop(self) -> None:
        """See `Server`; a signal would end the script that waits for it, and leave it alone."""
        assert self._process is not None
        with contextlib.suppress(OSError):
            self.api("stop")
        self._process.wait(SECONDS)
        super().stop()

    def _command(self) -> list[str]:
        folder = str(self.folder)
        places = ("--config-dir", folder, "--logs", folder, "--spool", f"{folder}/data")
        config = ("--ctl-config", f"{folder}/ejabberdctl.cfg")
        return [self._program, *config, *places, "foreground"]

    def register(self, username: str, password: str) -> None:
        """See `Server`."""
        self.api("register", user=username, host=self.domain, password=password)

    def unregister(self, username: str) -> None:
        """See `Server`."""
        self.api("unregister", user=username, host=self.domain)

    def api(self, command: str, **arguments: Any) -> Any:
        """What a command of its HTTP API answers.

        Raises:
            urllib.error.HTTPError: it refuses.
        """
        url = f"http://127.0.0.1:{self.http_port}/api/{command}"
        request = urllib.request.Request(
            url, json.dumps(arguments).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return json.load(answer)


@functools.cache
def started(kind: type[Server], release: Release = INSTALLED) -> Server:
    """One server of a kind for all tests that only use it; it ends with the tests."""
    server = kind(release=release)
    atexit.register(server.remove)
    server.start()
    return server


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), SECONDS):
        return True
    return False


def _quoted(words: str) -> str:
    return ", ".join(f'"{word}"' for word in words.split())
