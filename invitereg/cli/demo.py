"""``invitereg demo``: a real service, on this computer alone, that lasts until Ctrl-C."""

import errno
import os
import shlex
import shutil
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import yaml
from twisted.internet.error import ReactorNotRunning
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogBeginner
from zope.interface import provider

from invitereg.cli.display import print_qr
from invitereg.cli.errors import Failed
from invitereg.cli.options import ADDRESS
from invitereg.cli.output import print_lines, print_text
from invitereg.config.types import domain_name
from invitereg.model.names import ascii_domain
from invitereg.policy.values import Address
from invitereg.runtime.tls import write_certificate

MARK = "# Written by invitereg demo, and written again when it next runs here.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """The settings of one demo.

    Attributes:
        listen: the address of this computer to listen on.
        anybody: let everybody register, also without an invite.
        folder: where configuration, certificate and data are.
        kept: whether the folder outlives the demo.
    """

    domain: str
    listen: Address
    port: int
    tls_port: int
    web_port: int
    anybody: bool
    folder: Path
    kept: bool

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "config.yaml"

    @property
    def site(self) -> str:
        """The address of the pages for a browser on this computer."""
        return f"http://localhost:{self.web_port}/"

    def endpoint(self, port: int) -> str:
        """Return the endpoint to listen on, as Twisted writes it."""
        kind = "tcp" if self.listen.version == 4 else "tcp6"
        interface = str(self.listen).replace(":", r"\:")
        return f"{kind}:{port}:interface={interface}"


def _domain(ctx: click.Context, param: click.Parameter, value: str) -> str:
    try:
        name = domain_name(value)
        ascii_domain(name)  # as the certificate has it
    except ValueError as error:
        raise click.BadParameter(f"{error}.", ctx, param) from None
    return name


_PORT = click.IntRange(1, 65535)


@click.command()
@click.option("--domain", default="localhost", show_default=True, callback=_domain)
@click.option("--port", type=_PORT, default=5222, show_default=True, help="For STARTTLS.")
@click.option(
    "--tls-port", type=_PORT, default=5223, show_default=True, help="For TLS at once."
)
@click.option("--web-port", type=_PORT, help="For the pages; default: a free one.")
@click.option(
    "--listen",
    metavar="ADDRESS",
    type=ADDRESS,
    default="127.0.0.1",
    show_default=True,
    help="This computer's address to listen on; 0.0.0.0 is all of them.",
)
@click.option(
    "--dir",
    "folder",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep everything in FOLDER; default: a temporary one.",
)
@click.option("--open", "anybody", is_flag=True, help="Let people register without invites.")
def command(folder: Path | None, **options: Any) -> None:
    """Try it: run a domain of its own until Ctrl-C, and print an invite to it."""
    if options["port"] == options["tls_port"]:
        raise click.UsageError("--port and --tls-port must differ.")
    if options["web_port"] in (options["port"], options["tls_port"]):
        raise click.UsageError("--web-port must differ from the others.")
    options["web_port"] = options["web_port"] or free_port(options["listen"])
    with _folder(folder) as path:
        _run(Demo(folder=path, kept=folder is not None, **options))
        path = path.absolute()
    print_text(
        f"Stopped. Everything is kept in {path}" if folder else "Stopped and cleaned up."
    )


@contextmanager
def _folder(folder: Path | None) -> Iterator[Path]:
    """Make the folder to work in; a temporary one is removed in the end."""
    if folder is None:
        with TemporaryDirectory(prefix="invitereg-demo-") as name:
            yield Path(name)
        return
    config = folder / "config.yaml"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        foreign = config.exists() and not config.read_text("utf-8").startswith(MARK)
    except (OSError, UnicodeError) as error:
        raise Failed(f"{folder} cannot be used: {error}") from None
    if foreign:
        raise Failed(f"{config} is not from a demo: choose another folder with --dir")
    yield folder


def _run(demo: Demo) -> None:
    ports = {
        demo.port: ("--port", "PORT"),
        demo.tls_port: ("--tls-port", "TLS_PORT"),
        demo.web_port: ("--web-port", "WEB_PORT"),
    }
    check_ports(demo.listen, ports)
    _step(1, f"writing a configuration and a certificate to {demo.folder}")
    _write_files(demo)
    _step(2, f"starting the service for {demo.domain}")
    reactor = _start_service(demo)
    _step(3, "making an invite")
    # Only with the reactor does Ctrl-C stop it; before, it ends this function.
    reactor.callWhenRunning(_explain, demo, *_make_invite(demo))
    reactor.run()


def _start_service(demo: Demo) -> Any:
    """Start the service that the configuration describes; returns its reactor, not yet run."""
    from twisted.internet import reactor as global_reactor  # the first lines do not wait for it

    from invitereg.config import load
    from invitereg.service.service import InviteregService

    reactor: Any = global_reactor
    globalLogBeginner.beginLoggingTo([narrate], redirectStandardIO=False)
    service = InviteregService(load(demo.config), reactor)
    try:
        service.startService()
    except SystemExit as error:
        raise Failed(str(error)) from None
    reactor.addSystemEventTrigger("before", "shutdown", print_text, "\nStopping …")
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    # To close the terminal's window ends it as well, and removes what it has written.
    signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(reactor.stop))
    return reactor


def _make_invite(demo: Demo) -> tuple[str, str]:
    """Make an invite, and return its link for apps and its link for browsers."""
    from invitereg.cli.workspace import Workspace
    from invitereg.usecases.newinvites import NewInvite

    with Workspace.open(demo.config) as workspace:
        new = NewInvite(domain=demo.domain, source="cli")
        invite, token = workspace.run(workspace.issuer.create(new))
    return invite.uri(token), f"{demo.site}invite/{token}"


def _write_files(demo: Demo) -> None:
    tls = demo.folder / f"tls-{demo.domain}"
    certificate, key = tls / "fullchain.pem", tls / "privkey.pem"
    content = {
        "domain": demo.domain,
        "site_name": "invitereg demo",
        "data_dir": "data",
        "tls": {
            "certificate": str(certificate.relative_to(demo.folder)),
            "private_key": str(key.relative_to(demo.folder)),
        },
        "c2s": {
            "listen": [demo.endpoint(demo.port)],
            "listen_tls": [demo.endpoint(demo.tls_port)],
        },
        "policy": {"registration_invite_only": not demo.anybody},
        "web": {"external_url": demo.site, "listen": [demo.endpoint(demo.web_port)]},
    }
    try:
        if not (certificate.exists() and key.exists()):  # apps may trust it from last time
            tls.mkdir(mode=0o700, exist_ok=True)
            write_certificate(tls, ascii_domain(demo.domain), days=365)
        demo.config.write_text(MARK + yaml.safe_dump(content, sort_keys=False), "utf-8")
    except OSError as error:
        raise Failed(f"{demo.folder} cannot be used: {error}") from None


def _step(number: int, text: str) -> None:
    print_lines([click.style(f"{number}/3", fg="cyan") + f" {text} …"])


def _explain(demo: Demo, link: str, page: str) -> None:
    """Say what there is and what to do with it."""
    again = f"{_command_name()} --config {shlex.quote(str(demo.config.absolute()))}"
    ready = click.style("Ready.", fg="green")
    print_lines([f"\n{ready} This link is an invite, for one account:\n\n{link}"])
    print_qr(link)
    print_text(
        f"Open it in an app that knows invitations, such as Monal, Siskin IM or Borogove,\n"
        f"and say that you trust the certificate: it is only for this demo. Server:\n"
        f"{demo.domain}, {demo.listen} port {demo.port} (STARTTLS) or {demo.tls_port} (TLS)."
    )
    print_text(
        f"\nOr see its page, and register there, in a browser on this computer:\n  {page}\n"
    )
    print_text(_reach(demo))
    print_text(_without_invitations(demo, again))
    print_text(f"\nMore invites, from another terminal:\n  {again} invite create --qr")
    print_text("\nWho registers is shown here. Ctrl-C stops the demo.\n")


def _reach(demo: Demo) -> str:
    if not demo.listen.is_loopback:
        return (
            f"Apps elsewhere need {demo.domain} to lead to this computer, in DNS or /etc/hosts."
        )
    elsewhere = "" if demo.domain != "localhost" else " and --domain NAME"
    return (
        f"Only apps on this computer reach it. For others, add --listen 0.0.0.0{elsewhere};\n"
        "the name must lead to this computer, in DNS or /etc/hosts."
    )


def _without_invitations(demo: Demo, again: str) -> str:
    """Return the advice for apps that know no invitations, as Gajim, Dino or Profanity."""
    if demo.anybody:
        return (
            "\nApps that know no invitations, such as Gajim, can register here as well:\n"
            f"sign up at the server {demo.domain}, with the port in the advanced settings."
        )
    return (
        "\nFor apps that know no invitations, such as Gajim, make an account to log in to:\n"
        f"  {again} account create romeo\n"
        "or let everybody register: start the demo with --open (make demo ARGS=--open)."
    )


def _command_name() -> str:
    """Return the command that was called, to be pasted into a terminal."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m invitereg"
    found = shutil.which(called.name)
    same = found is not None and os.path.samefile(found, called)
    return called.name if same else shlex.quote(str(called.absolute()))


@provider(ILogObserver)
def narrate(event: LogEvent) -> None:
    """Print a line for an event of the log that is a registration, or an error."""
    if event["log_level"] >= LogLevel.error:
        failure = event.get("log_failure")
        if failure is None or not failure.check(ReactorNotRunning):  # Ctrl-C twice
            print_text(formatEvent(event), err=True)
    elif event.get("what") in ("registered", "password reset of"):
        user = f"{event['username']}@{event['domain']}"
        news = "has registered" if event["what"] == "registered" else "has a new password"
        print_text(f"{user} {news}.", fg="green")


def free_port(listen: Address) -> int:
    """Return a port that is free now."""
    try:
        with socket.create_server((str(listen), 0), family=_family(listen)) as probe:
            return int(probe.getsockname()[1])
    except OSError:
        return 8080  # what is wrong is told when ports are checked


def check_ports(listen: Address, ports: Mapping[int, tuple[str, str]]) -> None:
    """Refuse to begin if a port is taken.

    Args:
        listen: where.
        ports: of each, the option of the command that chooses it, and the variable of make.

    Raises:
        Failed: some are not; the text says how to take others.
    """
    taken = {port: words for port, words in ports.items() if _is_taken(listen, port)}
    if not taken:
        return
    others = {port: port + 10000 if port < 50000 else port - 10000 for port in taken}
    numbers = " and ".join(map(str, taken))
    which = f"port {numbers} is" if len(taken) == 1 else f"ports {numbers} are"
    options = " ".join(f"{option} {others[port]}" for port, (option, _) in taken.items())
    variables = " ".join(f"{name}={others[port]}" for port, (_, name) in taken.items())
    raise Failed(
        f"{which} taken by another program: choose others with {options} "
        f"(make demo {variables})"
    )


def _is_taken(listen: Address, port: int) -> bool:
    """Return whether another program has a port.

    Raises:
        Failed: it cannot be had for another reason.
    """
    with socket.socket(_family(listen)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((str(listen), port))
            probe.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
            text = f"cannot listen on {listen}:{port}: {error.strerror}"
            raise Failed(text) from None
    return False


def _family(listen: Address) -> int:
    return socket.AF_INET if listen.version == 4 else socket.AF_INET6
