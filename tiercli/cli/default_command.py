"""A group of commands of which one is meant when none is named."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class PlanByDefault(TyperGroup):
    """`budget CATALOG` is `budget plan CATALOG`."""

    default = "plan"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Name the command that is meant."""
        named = args and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named or not args else [self.default, *args])
