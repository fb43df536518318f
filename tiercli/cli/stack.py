"""`tiercli stack`: Prometheus and Alertmanager: install them, say where they are, run a sandbox of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Literal

import typer

from tiercli.catalog.loading import load_catalog
from tiercli.cli.drill_outcome import default_catalog
from tiercli.cli.lazy_group import examples
from tiercli.cli.options import CatalogOption, TextOrJson
from tiercli.cli.terminal import error_console, output_console, plain_table, print_json
from tiercli.drills.demo import run_demo
from tiercli.drills.sites.estate import build_estate
from tiercli.errors import ExitCode, ToolMissing
from tiercli.sandbox.stack import installer
from tiercli.sandbox.stack.binaries import cache_folder, find_stack, locate_programs
from tiercli.sandbox.stack.installer import ARCHIVES


@examples(
    "tiercli stack install",
    "tiercli stack install --method archive --mirror https://mirror.example.com",
)
def install(
    method: Annotated[
        Literal["auto", "apt", "archive"], typer.Option("--method", help="How to install what is missing.")
    ] = "auto",
    mirror: Annotated[str | None, typer.Option("--mirror", help="URL of release archives, in place of GitHub.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done; do nothing.")] = False,
) -> None:
    """Install prometheus, promtool, alertmanager and amtool, unless they are here already.

    They come from Debian's packages where apt can be used, else from upstream's release archives for this
    platform, pinned by SHA-256, into your cache. No service is left running.
    """

    console = output_console()
    if all(locate_programs().values()):
        stack = find_stack()
        message = ", ".join(f"{name} {version}" for name, version in stack.versions().items())
        console.print(f"nothing to do: {message}", markup=False)
        return
    chosen = installer.default_method() if method == "auto" else method
    if dry_run:
        if chosen == "apt":
            for command in installer.apt_commands():
                console.print(" ".join(command), markup=False)
        for archive in ARCHIVES if chosen == "archive" else ():
            url = archive.url(mirror or installer.MIRROR, installer.this_platform())
            console.print(f"{url} → {cache_folder() / 'bin'}", markup=False)
        return
    say = error_console().print
    if chosen == "apt":
        installer.install_with_apt(say)
    else:
        installer.install_archives(cache_folder(), ARCHIVES, mirror or installer.MIRROR, say)
    try:
        stack = find_stack()
    except ToolMissing as error:
        raise ToolMissing(f"after the installation: {error.message}", hint=error.hint) from error
    message = ", ".join(f"{name} {version}" for name, version in stack.versions().items())
    console.print(f"installed: {message}", markup=False)


@examples(
    "tiercli stack status --format json",
)
def status(
    form: TextOrJson = "text",
) -> None:
    """Show which programs are found, where, and how. Exit 3 if one is missing."""

    programs = locate_programs()
    if form == "json":
        rows = {
            name: None
            if program is None
            else {"path": str(program.path), "version": program.version, "found_by": program.found_by}
            for name, program in programs.items()
        }
        print_json(rows)
    else:
        table = plain_table("program", "version", "found by", "path")
        for name, program in programs.items():
            if program is None:
                table.add_row(name, "[red]missing[/]", "", "tiercli stack install")
            else:
                table.add_row(name, program.version, program.found_by, str(program.path))
        output_console().print(table)
    if not all(programs.values()):
        raise typer.Exit(ExitCode.ENVIRONMENT_FAILED)


@examples(
    "tiercli stack up --load",
    "tiercli stack up --catalog my.yaml --prometheus-port 9090",
)
def up(
    catalog: CatalogOption = None,
    load: Annotated[bool, typer.Option("--load", help="Send ordinary load to the estate.")] = False,
    factor: Annotated[float, typer.Option("--factor", min=1, help="Time compression factor.")] = 30,
    out: Annotated[Path, typer.Option("--out", help="Folder for the dashboards for your Grafana.")] = Path("runs/demo"),
    prometheus_port: Annotated[int | None, typer.Option("--prometheus-port", help="\\[default: any free port]")] = None,
    alertmanager_port: Annotated[
        int | None, typer.Option("--alertmanager-port", help="\\[default: any free port]")
    ] = None,
) -> None:
    """Start the sandbox and keep it up until Ctrl-C: a real Prometheus and Alertmanager around a simulated
    estate.

    It prints the addresses, all on loopback, and each notification as it arrives.
    """

    estate = build_estate(load_catalog(catalog or default_catalog()), factor)
    wanted = {"prometheus": prometheus_port, "alertmanager": alertmanager_port}
    ports = {name: port for name, port in wanted.items() if port is not None}
    console = output_console()
    asyncio.run(run_demo(estate, find_stack(), out, ports, load, lambda text: console.print(text, markup=False)))
