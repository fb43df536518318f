"""`tiercli exporter`: what turns other things into metrics."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from threading import Event
from typing import Annotated

import msgspec
import typer
from prometheus_client import CollectorRegistry, generate_latest

from tiercli.audit.field_map import Deployments, FieldMap, RowError, load_field_map, make_record, mapped_rows
from tiercli.audit.record import AuditRecord, record_decoder
from tiercli.catalog.loading import load_catalog
from tiercli.cli.lazy_group import examples
from tiercli.cli.options import FieldMapFile
from tiercli.cli.terminal import error_console
from tiercli.errors import InvalidInput, Location, Problem
from tiercli.exporters.audit_exporter import AuditExporter
from tiercli.exporters.gpu_exporter import GpuExporter, GpuSource
from tiercli.exporters.nvml_source import NvmlSource
from tiercli.exporters.replayed_gpus import ReplayedGpus
from tiercli.exporters.serving import read_address, serve_metrics

_POLL_S = 0.25


@examples(
    "tiercli exporter audit --follow /var/log/gateway/audit.jsonl --catalog my.yaml --state /var/lib/tiercli/audit.json",
    "tiercli exporter audit usage.csv --map openai-usage.yaml --catalog my.yaml > /var/lib/node_exporter/usage.prom",
    "tiercli exporter audit --follow spend-logs.jsonl --map litellm --catalog my.yaml --state /var/lib/tiercli/audit.json",
)
def audit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Audit log, JSON Lines.", show_default=False)],
    catalog: Annotated[
        Path,
        typer.Option(
            "--catalog",
            metavar="CATALOG",
            envvar="TIERCLI_CATALOG",
            help="Catalog whose names become labels.",
            show_default=False,
        ),
    ],
    follow: Annotated[
        bool, typer.Option("--follow", help="Follow the log as it grows and is rotated, and serve /metrics.")
    ] = False,
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="Address to serve at; port 0 takes any free port.")
    ] = "127.0.0.1:9108",
    state: Annotated[
        Path | None,
        typer.Option(
            "--state",
            metavar="STATE",
            help="State file, so that a restart counts nothing twice and leaves nothing out.",
        ),
    ] = None,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Without a state file, start at the log's beginning, not at its end.")
    ] = False,
    field_map: FieldMapFile = None,
) -> None:
    """Count an audit log as the metrics of a gateway: print them, or --follow the log and serve them.

    Prometheus gets each record once: the exporter saves what it answered to a scrape, and continues from
    there after a restart. Lines that are not records are counted (tiercli_audit_malformed_lines_total) and
    skipped. A name that the catalog does not have becomes an empty label.
    """

    loaded = load_catalog(catalog)
    mapping = load_field_map(field_map) if field_map is not None else None
    deployments = loaded.catalog.gateway.deployments
    if not follow and (state is not None or from_start):
        raise InvalidInput(
            "--state and --from-start need --follow", hint="without --follow the whole file is read once"
        )
    if follow and mapping is not None and mapping.format != "jsonl":
        raise InvalidInput(f"a {mapping.format} export cannot be followed", hint="leave out --follow")
    host, port = read_address(listen)
    if not follow:
        if not file.is_file():
            problem = Problem(Location(str(file)), "the file does not exist")
            raise InvalidInput("the audit log does not exist", [problem])
        exporter = AuditExporter(loaded.catalog, file, record_decoder())
        _count_whole(exporter, file, mapping, deployments)
        registry = CollectorRegistry()
        registry.register(exporter)
        sys.stdout.write(generate_latest(registry).decode())
        _tell_malformed(exporter)
        return
    exporter = AuditExporter(
        loaded.catalog,
        file,
        record_decoder() if mapping is None else _mapped(mapping, deployments),
        state=state,
        from_end=not from_start,
    )
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    _follow(exporter, file, (host, port), over)


def _count_whole(exporter: AuditExporter, file: Path, mapping: FieldMap | None, deployments: Deployments) -> None:

    if mapping is None:
        exporter.count_new()
        return
    for line, record in mapped_rows(file, mapping, deployments):
        exporter.count(record, f"{file}:{line}")


def _mapped(mapping: FieldMap, deployments: Deployments) -> Callable[[bytes], AuditRecord]:

    def decode(line: bytes) -> AuditRecord:
        row = msgspec.json.decode(line)
        if not isinstance(row, dict):
            raise RowError("not an object")
        return make_record(mapping, row, deployments)

    return decode


def _follow(exporter: AuditExporter, file: Path, address: tuple[str, int], over: Event) -> None:

    console = error_console()
    reported, lost = 0, 0
    exporter.count_new()  # before the first scrape, so that it sees everything at once
    with serve_metrics(exporter, *address) as url:
        console.print(f"following {file}; metrics are at {url}", markup=False)
        began, before = time.monotonic(), exporter.records
        with console.status("") if console.is_terminal else nullcontext() as status:
            try:
                while not over.wait(_POLL_S):
                    exporter.count_new()
                    if exporter.malformed > reported:
                        reported = _tell_malformed(exporter)
                    if exporter.lost > lost:
                        lost = _tell_lost(exporter)
                    if status is not None:
                        since = exporter.records - before
                        rate = since / max(1.0, time.monotonic() - began)
                        status.update(
                            f"{exporter.records:,} records, {rate:,.0f} a second, {exporter.malformed:,} malformed"
                        )
            finally:
                exporter.close()
    console.print(f"{exporter.records:,} records counted", markup=False)


def _tell_malformed(exporter: AuditExporter) -> int:
    """Say the last of the lines that are no record; how many there are by now."""
    if exporter.malformed:
        message = f"{exporter.malformed:,} lines are no audit record; the last: {exporter.last_malformed}"
        error_console().print(message, markup=False)
    return exporter.malformed


def _tell_lost(exporter: AuditExporter) -> int:
    """Say how many files of the log were lost by now, and return it."""
    files = "1 file" if exporter.lost == 1 else f"{exporter.lost:,} files"
    message = f"{files} of the log removed, truncated or compressed before the end was read: records may be missing"
    error_console().print(message, markup=False)
    return exporter.lost


@examples(
    "tiercli exporter gpu --listen 0.0.0.0:9400",
    "tiercli exporter gpu --once > /var/lib/node_exporter/gpu.prom",
    "tiercli exporter gpu --simulate readings.jsonl          (no GPU: replays what a file says)",
)
def gpu(
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="Address to serve at; port 0 takes any free port.")
    ] = "127.0.0.1:9400",
    once: Annotated[bool, typer.Option("--once", help="Print the current readings; do not serve.")] = False,
    processes: Annotated[
        bool, typer.Option("--processes", help="Also export memory per process: a series for each process id.")
    ] = False,
    simulate: Annotated[
        Path | None, typer.Option("--simulate", metavar="FILE", help="Replay readings from a file, JSON Lines.")
    ] = None,
) -> None:
    """Serve metrics of this machine's NVIDIA GPUs: utilisation, memory, power, temperature, clocks,
    throttling, ECC and MIG.

    Unsupported readings are omitted. Failed readings are counted (tiercli_gpu_read_errors_total) and do not
    affect the others. The series of a GPU that is lost end (tiercli_gpu_lost_total). Exit 3 without a driver.
    """

    address = read_address(listen)
    source: GpuSource
    if simulate is not None:
        if processes:
            raise InvalidInput("--processes are not simulated", hint="leave it out, or --simulate")
        source = ReplayedGpus(simulate)
    else:
        source = NvmlSource(processes=processes)
    exporter = GpuExporter(source)
    try:
        if once:
            registry = CollectorRegistry()
            registry.register(exporter)
            sys.stdout.write(generate_latest(registry).decode())
            return
        over = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: over.set())
        with serve_metrics(exporter, *address) as url:
            devices = source.read().devices
            error_console().print(f"{devices} GPU{'s' * (devices != 1)}; metrics are at {url}", markup=False)
            over.wait()
    finally:
        source.close()
