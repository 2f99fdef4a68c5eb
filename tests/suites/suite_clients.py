"""Clients that others wrote: they register or log in, and are answered."""

import os
import secrets
from contextlib import closing
from pathlib import Path
from typing import Any

import pexpect

from tests.service.running import ROOT, SECONDS
from tests.suites.demo import DOMAIN, PYTHON, SuiteCase, debian_module, fetched, program, run

HERE = Path(__file__).parent
WORDS = "Good morrow, second."


class ClientTests(SuiteCase):
    def test_nbxmpp(self) -> None:
        """Gajim's library registers with an invite and finds the inviter in its roster."""
        self.demo.account("gajim-friend")
        token = self.demo.token("--contact", "--inviter", "gajim-friend")
        login = (token, "gajim", secrets.token_hex(12))
        script = str(HERE / "nbxmpp_client.py")
        debian_module("gi", "python3-gi gir1.2-soup-3.0 glib-networking")
        said = run(
            [PYTHON, script, str(self.demo.port), *login],
            PYTHONPATH=str(ROOT / "build/nbxmpp"),
        )
        self.assertEqual(said, f"gajim-friend@{DOMAIN} both\n")

    def test_xmpp_js(self) -> None:
        """@xmpp/client logs in and talks to itself."""
        folder = fetched("node_modules", "@xmpp", "client").parents[2]
        login = ("javascript", self.demo.account("javascript"))
        script = str(HERE / "xmpp_client.mjs")
        words = ["node", script, str(self.demo.port), *login]
        run(words, folder=folder, NODE_TLS_REJECT_UNAUTHORIZED="0")

    def test_profanity(self) -> None:
        """Profanity logs in and hears the server."""
        password = self.demo.account("profane")
        where = f"server 127.0.0.1 port {self.demo.port} tls trust"
        home = str(self.demo.folder)
        homes = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), home)
        words = [program("profanity", "profanity")]
        with closing(_terminal(words, **homes, TERM="xterm", LANG="C.UTF-8")) as screen:
            screen.expect("/help")
            screen.sendline(f"/connect profane@{DOMAIN} {where}")
            screen.expect("nter password")
            screen.sendline(password)
            screen.expect("logged in")
            screen.sendline("/ping")
            screen.expect("Ping response from server")
            screen.sendline("/quit")
            screen.expect(pexpect.EOF)

    def test_go_sendxmpp(self) -> None:
        """go-sendxmpp, which checks what the server signs, sends what another of it hears."""
        with closing(_terminal(self.go_sendxmpp("second", "--listen", "--debug"))) as screen:
            screen.expect(f"<presence to='second@{DOMAIN}'")
            run(self.go_sendxmpp("first", f"second@{DOMAIN}"), stdin=f"{WORDS}\n")
            screen.expect(f"first@{DOMAIN}: {WORDS}")

    def go_sendxmpp(self, name: str, *options: str) -> list[str]:
        """Return a command line for a new account."""
        login = ("-u", f"{name}@{DOMAIN}", "-p", self.demo.account(name))
        where = ("-j", f"127.0.0.1:{self.demo.port}", "--no-tls-verify")
        return [program("go-sendxmpp", "go-sendxmpp"), *login, *where, *options]


def _terminal(words: list[str], **environment: str) -> Any:
    """Start a program on a terminal of its own."""
    return pexpect.spawn(
        words[0],
        words[1:],
        env={**os.environ, **environment},
        timeout=SECONDS,
        encoding="utf-8",
        dimensions=(40, 200),
    )
