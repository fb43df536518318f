"""`tiercli lint`: what is wrong or doubtful in rules, dashboards and routing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tiercli.catalog.loading import load_catalog
from tiercli.catalog.names import unknown_name
from tiercli.cli.lazy_group import examples
from tiercli.cli.options import FindingsFormat, OptionalCatalogFile, Templates
from tiercli.cli.terminal import output_console
from tiercli.errors import CheckFailed, InvalidInput, Location
from tiercli.lint.catalog_checks import further_checks
from tiercli.lint.checks import CHECKS
from tiercli.lint.formats import as_github, as_json, as_sarif, counted
from tiercli.lint.interface import Severity, load_page
from tiercli.lint.linted import LintedFile
from tiercli.lint.linting import CODES, lint_files, lint_tree, run_checks
from tiercli.output.tree import render_tree
from tiercli.rules.deployment import Deployment


@examples(
    "tiercli lint catalogs/hybrid.yaml",
    "tiercli lint my.yaml --fail-on warning --format github",
    "tiercli lint --rules rules/*.yml --dashboards boards/*.json      (files that tiercli did not make)",
    "tiercli lint --explain promql/short-range",
    note="A comment silences one finding:  # tiercli: disable CODE [SUBJECT] \\[until YYYY-MM-DD]: reason",
)
def lint(
    catalog: OptionalCatalogFile = None,
    rules: Annotated[
        list[Path] | None, typer.Option("--rules", help="Rule file of any origin; may be repeated.")
    ] = None,
    dashboards: Annotated[
        list[Path] | None, typer.Option("--dashboards", help="Dashboard JSON of any origin; may be repeated.")
    ] = None,
    templates: Templates = None,
    fail_on: Annotated[
        Literal["info", "warning", "error"],
        typer.Option("--fail-on", help="Exit 1 if a finding is at least this severe."),
    ] = "error",
    disable: Annotated[
        list[str] | None, typer.Option("--disable", metavar="CODE", help="Skip this check; may be repeated.")
    ] = None,
    form: FindingsFormat = "text",
    explain: Annotated[
        str | None, typer.Option("--explain", metavar="CODE", help="Print the page about this check and exit.")
    ] = None,
) -> None:
    """Check every expression, annotation, link and route, also with promtool and amtool. Exit 1 if something
    is wrong."""

    if explain is not None:
        typer.echo(load_page(explain), nl=False)
        return
    unknown = [unknown_name("check", code, CODES, Location("--disable")) for code in disable or () if code not in CODES]
    if unknown:
        raise InvalidInput("unknown check", unknown)
    if catalog is None and not rules and not dashboards:
        raise InvalidInput("nothing to lint", hint="name a catalog, or files with --rules and --dashboards")
    findings = []
    if catalog is not None:
        loaded = load_catalog(catalog, further_checks(templates or ()))
        tree = render_tree(loaded, Deployment.production(loaded.catalog), templates or ())
        linted, sources = lint_tree(loaded, tree, templates or ())
        if str(catalog) != "-":
            sources.append(LintedFile(str(catalog), catalog.read_text(encoding="utf-8-sig")))
        findings += run_checks(linted, sources, disabled=disable or ())
    if rules or dashboards:
        findings += run_checks(lint_files(rules or (), dashboards or ()), disabled=disable or ())
    if form == "json":
        typer.echo(as_json(findings))
    elif form == "sarif":
        typer.echo(as_sarif(findings, CHECKS))
    elif form == "github":
        typer.echo(as_github(findings), nl=bool(findings))
    else:
        style = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.INFO: "blue"}
        console = output_console()
        for finding in findings:
            at = finding.location
            place = f"{at.file}:{at.line}" + (f":{at.column}" if at.column else "")
            console.print(f"{place}: ", markup=False, end="")
            console.print(finding.severity.word, style=style[finding.severity], end=" ")
            console.print(f"{finding.code}: {finding.subject}: {finding.found}", markup=False)
            console.print(f"    {finding.do} ({finding.page})", markup=False, style="dim")
        console.print(counted(findings), markup=False)
    worst = Severity[fail_on.upper()]
    bad = [finding for finding in findings if finding.severity >= worst]
    if bad:
        raise CheckFailed(
            counted(bad), hint="`tiercli lint --explain CODE` explains a finding; a comment with a reason silences it"
        )
