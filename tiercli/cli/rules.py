"""`tiercli rules`: the generated rules, tested by the tools that will read them."""

from __future__ import annotations

from typing import Annotated

import typer

from tiercli.catalog.loading import load_catalog
from tiercli.catalog.names import unknown_name
from tiercli.cli.lazy_group import examples
from tiercli.cli.options import CatalogFile, Templates, TextOrJson
from tiercli.cli.terminal import error_console, output_console, print_json
from tiercli.errors import CheckFailed, InvalidInput, Location
from tiercli.lint.catalog_checks import further_checks
from tiercli.lint.rule_tests import AlarmResult, run_rule_tests
from tiercli.output.tree import render_tree
from tiercli.rules.alarm_files import load_alarm_set
from tiercli.rules.deployment import Deployment
from tiercli.sandbox.stack.binaries import find_stack


@examples(
    "tiercli rules test catalogs/hybrid.yaml",
    "tiercli rules test my.yaml ProviderDown CloudErrorRateHigh",
    "tiercli rules test my.yaml --templates our-alarms --format json",
)
def run_tests(
    catalog: CatalogFile,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[ALARM]...", help="Only these alarms.", show_default=False)
    ] = None,
    templates: Templates = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Tests to run in parallel. \\[default: one per core]")
    ] = None,
    form: TextOrJson = "text",
) -> None:
    """Run every alarm's unit tests with promtool, and its routes with amtool. Exit 1 if one fails.

    The cases come from the alarm's own file: at its threshold and just past it, for its duration and a
    shorter one, for its neighbours, without history, without traffic, over a counter reset and a gap in
    scraping.
    """

    folders = templates or ()
    loaded = load_catalog(catalog, further_checks(folders))
    deployment = Deployment.production(loaded.catalog)
    known = {alarm.alarm: alarm for alarm in load_alarm_set(loaded, deployment.timing, folders).alarms}
    unknown = [
        unknown_name("alarm", name, known, Location("command line")) for name in names or () if name not in known
    ]
    if unknown:
        raise InvalidInput("unknown alarms", unknown)
    chosen = [known[name] for name in dict.fromkeys(names or known)]
    stack = find_stack()
    tree = render_tree(loaded, deployment, folders)
    console = error_console()

    def show(result: AlarmResult) -> None:
        if form == "text":
            output_console().print(_line(result), markup=True)

    if console.is_terminal:
        console.print(f"[dim]{len(chosen)} alarms, promtool {stack.promtool.version}[/]")
    results = run_rule_tests(
        tree,
        loaded.catalog,
        chosen,
        deployment.timing,
        promtool=stack.promtool.path,
        amtool=stack.amtool.path,
        jobs=jobs,
        on_done=show,
    )
    failed = [result for result in results if not result.passed]
    cases = sum(result.cases for result in results)
    if form == "json":
        alarms = [
            {
                "alarm": result.alarm,
                "passed": result.passed,
                "cases": result.cases,
                "receivers": list(result.receivers),
                "failures": list(result.failures),
            }
            for result in results
        ]
        print_json({"passed": not failed, "cases": cases, "alarms": alarms})
    else:
        output_console().print(f"{len(results)} alarms, {cases} cases, {len(failed)} alarms failed")
    if failed:
        raise CheckFailed(
            f"{len(failed)} of {len(results)} alarms failed their tests: {', '.join(result.alarm for result in failed)}",
            details=[line for result in failed for line in result.failures] if form == "text" else [],
            hint="`tiercli generate` writes the tests to prometheus/tests/",
        )


def _line(result: AlarmResult) -> str:
    message = "[green]passed[/]" if result.passed else "[bold red]FAILED[/]"
    return f"{message}  {result.alarm:<28}{result.cases:>3} cases  to {', '.join(result.receivers)}"
