"""The kinds of values that options take, and the options that several commands share."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import click

from invitereg.config import duration_or_never, role_name
from invitereg.policy.values import Address, parse_address
from invitereg.usecases.newinvites import DEFAULT_EXPIRY

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_MOST = 10**9


class Duration(click.ParamType[timedelta | None]):
    """A duration as the configuration writes it; ``never`` becomes None."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta | None:
        if isinstance(value, timedelta):
            return value
        try:
            return duration_or_never(value)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


class Uses(click.ParamType[int | None]):
    """A number of uses; ``unlimited`` becomes None.

    Whether a number makes sense is not for the door to say: 0 is refused further on.
    """

    name = "uses"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        if isinstance(value, int):
            return value
        if value == "unlimited":
            return None
        try:
            number = int(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor unlimited.", param, ctx)
        if abs(number) > _MOST:
            self.fail(f"at most {_MOST}, or unlimited.", param, ctx)
        return number


class Role(click.ParamType[str]):
    """A role, as the configuration knows them."""

    name = "role"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        try:
            return role_name(value)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


class IPAddress(click.ParamType[Address]):
    """An IP address."""

    name = "address"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Address:
        address = parse_address(value)
        if address is None:
            self.fail(f"{value!r} is no address, such as 192.0.2.1 or 2001:db8::1.", param, ctx)
        return address


DURATION, USES, ROLE, ADDRESS = Duration(), Uses(), Role(), IPAddress()

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
