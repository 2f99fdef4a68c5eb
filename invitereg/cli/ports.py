"""Finds out which ports of this computer are free, for the demo."""

import errno
import socket
from collections.abc import Mapping

from invitereg.cli.failures import Failed
from invitereg.policy.values import Address


def free_port(listen: Address) -> int:
    """A port that nobody has now."""
    try:
        with socket.create_server((str(listen), 0), family=_family(listen)) as probe:
            return int(probe.getsockname()[1])
    except OSError:
        return 8080  # what is wrong is told when ports are checked


def check_ports(listen: Address, ports: Mapping[int, tuple[str, str]]) -> None:
    """See that all ports are free, before anything is begun.

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
    """Whether another program has a port.

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
