"""The command itself: finds the module of a subcommand, and turns every error into one exit.

Modules are imported when their command is called: ``--version`` must not wait for a database.
"""

import difflib
import gc
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from invitereg import __version__
from invitereg.cli import INTERRUPTED
from invitereg.cli.output import printable

COMMANDS = {
    "account": ("accounts:command", "Make, list and delete accounts; give them roles."),
    "check": ("check:command", "Check the configuration file."),
    "demo": ("demo:command", "Try it: a domain of its own that lasts until Ctrl-C."),
    "export": ("transfer:export", "Print everything that is stored."),
    "import": ("transfer:import_", "Add what was exported, here or elsewhere."),
    "invite": ("invites:command", "Make invites, list them, change and revoke them."),
    "key": ("keys:command", "Make and revoke keys for programs that use the HTTP API."),
    "policy": ("policy:command", "Explain who may register, and who may invite."),
    "purge": ("purge:command", "Remove invites that have long been over."),
    "reset": ("invites:reset", "Make links that set a new password."),
}
"""Where each command is (module and name), and its line in the help."""


class Group(click.Group):
    """A group that knows what may have been meant by the name of no command."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return what is called, with its arguments.

        Raises:
            UsageError: there is no such command; the text names the nearest.
        """
        name = args[0]
        if name.startswith("-") or self.get_command(ctx, name) is not None:
            return super().resolve_command(ctx, args)
        meant = self._meant(ctx, name)
        known = ", ".join(self.list_commands(ctx))
        hint = f"Did you mean {' or '.join(meant)}?" if meant else f"There are {known}."
        raise click.UsageError(f"No such command {printable(name)!r}. {hint}", ctx)

    def _meant(self, ctx: click.Context, name: str) -> list[str]:
        """Return the near names here; if there are none, who has such a command below."""
        near = difflib.get_close_matches(name, self.list_commands(ctx), 2, 0.7)
        return near or [path for path in self._below(ctx) if path.split()[-1] == name]

    def _below(self, ctx: click.Context) -> Iterator[str]:
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if isinstance(command, click.Group):
                yield from (f"{name} {below}" for below in command.list_commands(ctx))


class Root(Group):
    """The group of all commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the module of a command only when it is called."""
        if cmd_name not in COMMANDS:
            return None
        gc.disable()  # so much is loaded that to look for garbage takes a sixth of the time
        try:
            module, _, name = COMMANDS[cmd_name][0].partition(":")
            found: click.Command = getattr(import_module(f"invitereg.cli.{module}"), name)
        finally:
            gc.enable()
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands in the help without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in sorted(COMMANDS.items())])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse what is no text: it could neither be stored nor shown."""
        if any(not _is_text(argument) for argument in args):
            raise click.UsageError("Arguments must be UTF-8.", ctx)
        try:
            return super().parse_args(ctx, args)
        except (click.ClickException, OSError) as error:
            raise _failed(error) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what it raises becomes one line and an exit status."""
        try:
            return super().invoke(ctx)
        except click.exceptions.Exit:
            raise
        except (KeyboardInterrupt, click.Abort):
            ctx.exit(INTERRUPTED)
        except Exception as error:
            raise _failed(error) from None


@click.command(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    metavar="FILE",
    envvar="INVITEREG_CONFIG",
    default="config.yaml",
    show_envvar=True,
    show_default=True,
    type=click.Path(path_type=Path, readable=False),  # whoever reads it says why it cannot
    help="The configuration file.",
)
@click.version_option(__version__, message="invitereg %(version)s")
@click.pass_context
def command(ctx: click.Context, config: Path) -> None:
    """Decides who may register at an XMPP domain, and registers them.

    The service itself is started by: twistd -n invitereg --config FILE
    """
    ctx.obj = config


def _failed(error: Exception) -> click.ClickException:
    """Return what ends the command because of ``error``; raise it if it is a bug."""
    from invitereg.cli.errors import cleaned, failure_of

    return cleaned(error) if isinstance(error, click.ClickException) else failure_of(error)


def _is_text(argument: str) -> bool:
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True
