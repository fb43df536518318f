"""The command `tiercli`: its groups, its global flags, and the one place where an error becomes an exit code."""

from __future__ import annotations

import gc
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from tiercli import __version__
from tiercli.cli.commands import COMMANDS
from tiercli.cli.lazy_group import SETTINGS, LazyGroup
from tiercli.cli.terminal import print_error, turn_color_off
from tiercli.errors import ExitCode, TiercliError


class _Root(LazyGroup):
    """`tiercli` itself."""

    tree = COMMANDS


app = typer.Typer(
    name="tiercli",
    cls=_Root,
    help="Monitoring for LLM traffic over local and cloud tiers: generated from one catalog, proven by fire drills.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings=SETTINGS,
)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"tiercli {__version__}")
        raise typer.Exit


@app.callback()
def main(
    no_color: Annotated[bool, typer.Option("--no-color", help="Do not print colour (also: NO_COLOR).")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Monitoring for LLM traffic over local and cloud tiers: generated from one catalog, proven by fire drills."""
    if no_color:
        turn_color_off()


# A command makes a great deal and keeps most of it to its end: looking for garbage at every 700 objects costs a sixth of it.
gc.set_threshold(50_000, 20, 20)


def run() -> NoReturn:
    """Run the command line and exit: 0, 1, 2, 3 or 4 as errors.py says, 70 for a bug, 130 for Ctrl-C."""
    try:
        code = app(prog_name="tiercli", standalone_mode=False)
    except TiercliError as error:
        if "--debug" in sys.argv:
            traceback.print_exc()
        print_error(error)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("interrupted\n")
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(ExitCode.OK)
    except Exception as error:  # noqa: BLE001 - the boundary: a bug must not look like a verdict
        if _is_usage_error(error):
            error.show()  # type: ignore[attr-defined]
            sys.exit(ExitCode.INVALID_INPUT)
        if "--debug" in sys.argv:
            traceback.print_exc()
        else:
            log = Path(tempfile.mkdtemp(prefix="tiercli-bug-")) / "traceback.txt"
            log.write_text(traceback.format_exc(), encoding="utf-8")
            sys.stderr.write(f"error: a bug in tiercli: {error!r}\nhint: please report it with {log}\n")
        sys.exit(ExitCode.BUG)
    sys.exit(code if isinstance(code, int) else ExitCode.OK)


def _is_usage_error(error: Exception) -> bool:
    return hasattr(error, "show") and hasattr(error, "format_message")
