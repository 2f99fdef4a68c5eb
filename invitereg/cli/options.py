"""The kinds of values that options take, and the options that several commands share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from invitereg.config import duration_or_never, role_name
from invitereg.policy.values import Address, parse_address
from invitereg.usecases.newinvites import DEFAULT_EXPIRY

T = TypeVar("T")
Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_MOST = 10**9


class Parsed(click.ParamType[T]):
    """A value that a function reads from text; its ValueError says what is wrong."""

    def __init__(self, name: str, read: Callable[[str], T]) -> None:
        self.name = name
        self._read = read

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> T:
        if not isinstance(value, str):  # a default
            found: T = value
            return found
        try:
            return self._read(value)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


def _uses(text: str) -> int | None:
    """Return a number of uses; ``unlimited`` is None.

    Whether a number makes sense is not for the door to say: 0 is refused further on.
    """
    if text == "unlimited":
        return None
    try:
        number = int(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither a number nor unlimited") from None
    if abs(number) > _MOST:
        raise ValueError(f"at most {_MOST}, or unlimited")
    return number


def _address(text: str) -> Address:
    address = parse_address(text)
    if address is None:
        raise ValueError(f"{text!r} is no address, such as 192.0.2.1 or 2001:db8::1")
    return address


DURATION = Parsed("duration", duration_or_never)
USES = Parsed("uses", _uses)
ROLE = Parsed("role", role_name)
ADDRESS = Parsed("address", _address)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
domain_option = click.option(
    "--domain", metavar="DOMAIN", help="The domain; needed where several are served."
)


def expires_option(otherwise: str) -> Callable[[Decorated], Decorated]:
    """Return ``--expires``; ``otherwise`` is what its help says of the default."""
    return click.option(
        "--expires",
        metavar="TIME",
        type=DURATION,
        default=DEFAULT_EXPIRY,
        help=f"From now, as 12h or 7d, or never; default: {otherwise}.",
    )


def per_network_option(otherwise: str) -> Callable[[Decorated], Decorated]:
    """Return ``--per-network``; ``otherwise`` is as in `expires_option`."""
    return click.option(
        "--per-network",
        metavar="N",
        type=click.IntRange(1, _MOST),
        help=f"How often from one network, as a Wi-Fi, within a while; default: {otherwise}.",
    )


qr_option = click.option("--qr", is_flag=True, help="Print a QR code of the link as well.")


def refuse_qr_in_json(qr: bool, as_json: bool) -> None:
    """Raise UsageError if both ``--qr`` and ``--json`` are given."""
    if qr and as_json:
        raise click.UsageError("--qr is for people, --json for programs: choose one.")
