"""`tiercli proxy`: the measuring point before endpoints that have no gateway, and the place where faults are injected."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from tiercli.catalog.loading import load_catalog
from tiercli.cli.lazy_group import examples
from tiercli.cli.options import Environment, RequiredCatalog, TextOrJson
from tiercli.cli.terminal import error_console, output_console, print_json
from tiercli.exporters.serving import read_address
from tiercli.measuring.control_token import ControlToken, control_token
from tiercli.measuring.endpoints import ProxiedEndpoint, endpoints_of
from tiercli.measuring.measures import READ_LIMIT
from tiercli.measuring.measuring_point import Measured, Progress, ProxyUrls, run_proxy

_LOOPBACK = {"localhost", "::1"}


@examples(
    "tiercli proxy --catalog my.yaml --env staging",
    "tiercli proxy --catalog my.yaml --env staging --metrics 0.0.0.0:9464 --audit-log /var/log/tiercli/audit.jsonl",
    "tiercli proxy --catalog my.yaml --env staging --no-measure      (faults only: a gateway measures already)",
    "tiercli proxy --catalog my.yaml --env staging --format json | jq -r '.endpoints[].url'",
)
def proxy(
    env: Environment,
    catalog: RequiredCatalog,
    control: Annotated[
        str,
        typer.Option(
            "--control",
            metavar="HOST:PORT",
            help="Address of the control API, where faults are turned on and off; port 0 takes any free port.",
        ),
    ] = "127.0.0.1:9465",
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            metavar="FILE",
            help="Token of the control API. \\[default: TIERCLI_PROXY_TOKEN, else a new one in a file]",
            show_default=False,
        ),
    ] = None,
    metrics: Annotated[
        str, typer.Option("--metrics", metavar="HOST:PORT", help="Address of /metrics; port 0 takes any free port.")
    ] = "127.0.0.1:9464",
    audit_log: Annotated[
        Path, typer.Option("--audit-log", metavar="FILE", help="File to which a record of each call is appended.")
    ] = Path("audit.jsonl"),
    measure: Annotated[
        bool, typer.Option("--measure/--no-measure", help="Whether to count calls and write their records.")
    ] = True,
    hash_caller: Annotated[
        bool, typer.Option("--hash-caller", help="Record a hash of each caller, not its name.")
    ] = False,
    read_limit: Annotated[
        int,
        typer.Option(
            "--read-limit",
            metavar="MIB",
            min=1,
            max=1024,
            help="Most of a request, and of an answer that is no stream, that is read, in MiB. What is longer passes whole, and its beginning is read.",
        ),
    ] = READ_LIMIT >> 20,
    form: TextOrJson = "text",
) -> None:
    """Proxy endpoints that have no gateway: count their calls, write audit records, inject faults.

    The proxy listens on the addresses in the catalog (`environments.NAME.endpoints[].listen`), passes calls
    and streams through with the endpoint's credential, and serves the metrics of a gateway. Callers identify
    themselves with the headers x-tenant, x-feature, x-alias and x-caller, which are not passed on. On
    SIGTERM and Ctrl-C it finishes the calls in progress.
    """

    loaded = load_catalog(catalog)
    endpoints = endpoints_of(loaded, env, measured=measure)
    steered_at = read_address(control)
    measured = None
    if measure:
        measured = Measured(
            metrics=read_address(metrics), audit_log=audit_log, hash_callers=hash_caller, read_limit=read_limit << 20
        )
    _warn(endpoints, steered_at[0])
    console = error_console()
    shown = console.status("") if console.is_terminal else nullcontext()
    with control_token(token_file, os.environ) as token, shown as status:

        def tick(progress: Progress) -> None:
            if status is not None:
                faults = "; ".join(progress.faults) or "none"
                status.update(f"{progress.calls:,} calls, {progress.failed:,} failed; faults: {faults}")

        interrupted = uvloop.run(
            run_proxy(
                loaded.catalog,
                endpoints,
                control=steered_at,
                token=token,
                measured=measured,
                ready=lambda urls: _print(urls, env, endpoints, token, measured, form),
                tick=tick,
            )
        )
    if interrupted:
        raise KeyboardInterrupt


def _is_loopback(host: str) -> bool:
    return host in _LOOPBACK or host.startswith("127.")


def _warn(endpoints: Sequence[ProxiedEndpoint], control_host: str) -> None:
    console = error_console()
    if not _is_loopback(control_host):
        message = "the control API can be reached from other machines: a token protects it, but nothing encrypts it"
        console.print(f"[yellow]warning:[/] {message}")
    for endpoint in endpoints:
        if endpoint.has_credential and not _is_loopback(endpoint.route.host):
            console.print("[yellow]warning:[/] ", end="")
            console.print(
                f"whoever reaches {endpoint.route.host}:{endpoint.route.port} calls {endpoint.route.name} with its credential",
                markup=False,
            )


def _print(
    urls: ProxyUrls,
    env: str,
    endpoints: Sequence[ProxiedEndpoint],
    token: ControlToken,
    measured: Measured | None,
    output: str,
) -> None:

    if output == "json":
        message = {
            "environment": env,
            "endpoints": [
                {
                    "name": endpoint.route.name,
                    **endpoint.place.labels,
                    "wire": endpoint.wire.name,
                    "url": urls.endpoints[endpoint.route.name],
                    "upstream": endpoint.route.upstream,
                }
                for endpoint in endpoints
            ],
            "control": {"url": urls.control, "token_file": str(token.file) if token.file is not None else None},
            "metrics": urls.metrics,
            "audit_log": str(measured.audit_log) if measured is not None else None,
        }
        print_json(message)
        return
    lines = [
        f"{endpoint.route.name}  {urls.endpoints[endpoint.route.name]} → {endpoint.route.upstream}"
        for endpoint in endpoints
    ]
    where = f"the token is in {token.file}" if token.file is not None else "the token is that of TIERCLI_PROXY_TOKEN"
    lines.append(f"control  {urls.control}; {where}")
    if measured is not None:
        lines += [f"metrics  {urls.metrics}", f"audit log  {measured.audit_log}"]
    for line in lines:
        output_console().print(line, markup=False)
