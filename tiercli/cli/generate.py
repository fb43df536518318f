"""`tiercli generate`: the whole monitoring of an estate from its catalog."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tiercli.catalog.loading import load_catalog
from tiercli.cli.lazy_group import examples
from tiercli.cli.options import CatalogFile, Templates, TextOrJson
from tiercli.cli.terminal import error_console, output_console, print_json
from tiercli.errors import CheckFailed
from tiercli.lint.catalog_checks import further_checks
from tiercli.lint.receiver_checks import check_receivers
from tiercli.output.tree import render_tree
from tiercli.output.wrapping import read_options, receivers_for, wrap_tree
from tiercli.output.writing import diff_lines, plan_changes, write_tree
from tiercli.rules.alarm_files import load_alarm_set
from tiercli.rules.deployment import Deployment


@examples(
    "tiercli generate catalogs/hybrid.yaml --out monitoring",
    "tiercli generate catalogs/hybrid.yaml --out monitoring --check      (in CI: exit 1 with a diff when out of date)",
    "tiercli generate my.yaml --out monitoring --templates our-alarms    (your own alarm files)",
    "tiercli generate my.yaml --out k8s --wrap kubernetes --namespace monitoring --label release=prometheus",
)
def generate(
    catalog: CatalogFile,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.", show_default=False)],
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 with a diff if the folder differs.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files with local changes.")] = False,
    templates: Templates = None,
    wrap: Annotated[
        list[str] | None,
        typer.Option(
            "--wrap", help="Form: plain, kubernetes, grafana-operator or mimir; may be repeated. \\[default: plain]"
        ),
    ] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", help="Namespace of Kubernetes objects. \\[default: monitoring]")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="Label KEY=VALUE on every Kubernetes object; may be repeated.")
    ] = None,
    grafana_label: Annotated[
        list[str] | None,
        typer.Option(
            "--grafana-label",
            help="Label KEY=VALUE that selects the Grafanas; may be repeated. \\[default: dashboards=grafana]",
        ),
    ] = None,
    secret: Annotated[
        str | None, typer.Option("--secret", help="Kubernetes Secret with the receivers' secrets, one key per file.")
    ] = None,
    form: TextOrJson = "text",
) -> None:
    """Write Prometheus rules and their unit tests, Alertmanager routing, Grafana dashboards and runbooks.

    The folder is written whole or not at all. Files of an earlier run that are no longer generated are
    removed. A file with local changes is not overwritten without --force (exit 1). Other files in the folder
    are not touched.
    """

    checks = (*further_checks(templates or ()), check_receivers, receivers_for(wrap or ()))
    loaded = load_catalog(catalog, checks)
    deployment = Deployment.production(loaded.catalog)
    wraps, options = read_options(
        loaded.catalog,
        wrap or (),
        namespace=namespace,
        labels=label or (),
        instances=grafana_label or (),
        secret=secret,
    )
    tree = wrap_tree(render_tree(loaded, deployment, templates or ()), wraps, options)
    left_out = load_alarm_set(loaded, deployment.timing, templates or ()).left_out
    changes = plan_changes(out, tree) if check else write_tree(out, tree, force=force)
    console = output_console()
    if form == "json":
        parts = {name: list(getattr(changes, name)) for name in ("added", "changed", "removed", "unchanged")}
        answer = {"folder": str(out), "checked": check, **parts, "alarms_left_out": left_out}
        print_json(answer)
    elif left_out:
        _tell_left_out(catalog, list(left_out))
    if check and changes.paths:
        for line in diff_lines(out, tree) if form == "text" else ():
            typer.echo(line)
        count = "1 file differs" if len(changes.paths) == 1 else f"{len(changes.paths)} files differ"
        raise CheckFailed(
            f"{out} is not what {catalog} gives: {count}",
            hint=f"run tiercli generate {catalog} --out {out}",
        )
    if form == "json":
        return
    if check:
        console.print(f"{out} is what {catalog} gives ({len(tree)} files)", markup=False)
        return
    for sign, paths in (("+", changes.added), ("~", changes.changed), ("-", changes.removed)):
        for path in paths:
            console.print(f"{sign} {out / path}", markup=False)
    done = f"{len(changes.added)} added, {len(changes.changed)} changed, {len(changes.removed)} removed"
    console.print(f"{len(tree)} files in {out}: {done}, {len(changes.unchanged)} unchanged", markup=False)


def _tell_left_out(catalog: Path, alarms: list[str]) -> None:
    count = "1 alarm is" if len(alarms) == 1 else f"{len(alarms)} alarms are"
    message = f"note: {count} left out, because no source provides what they read: {', '.join(alarms)}"
    console = error_console()
    console.print(message, markup=False)
    console.print(f"which signals, and why: tiercli sources --catalog {catalog}", markup=False)
