"""Groups of commands that name the nearest one where a name is mistyped."""

import difflib
from collections.abc import Iterator

import click

from invitereg.cli.printing import printable


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
