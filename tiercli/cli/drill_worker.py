"""`tiercli drill worker`: a part of another machine's load."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from tiercli.catalog.loading import load_catalog
from tiercli.cli.lazy_group import examples
from tiercli.clients.environment_access import access_to
from tiercli.drills.load.locust import AUTHORITIES, KEYS, worker_command
from tiercli.drills.sites.live_plan import gateway_way
from tiercli.errors import InvalidInput
from tiercli.lint.catalog_checks import further_checks


@examples(
    "tiercli drill worker --master 10.0.0.5",
    "tiercli drill worker --master 10.0.0.5 --port 5557 --catalog my.yaml --env staging      (with that gateway's keys)",
)
def worker(
    master: Annotated[
        str, typer.Option("--master", help="Machine that runs the drill.", metavar="HOST", show_default=False)
    ],
    port: Annotated[int, typer.Option("--port", help="Port of `drill run --bind`.", min=1, max=65535)] = 5557,
    catalog: Annotated[
        Path | None, typer.Option("--catalog", "-c", envvar="TIERCLI_CATALOG", help="Catalog file, with --env.")
    ] = None,
    env: Annotated[
        str | None,
        typer.Option(
            "--env", help="Environment whose gateway is called; its keys are read on this machine.", metavar="NAME"
        ),
    ] = None,
    locustfile: Annotated[
        Path | None, typer.Option("--locustfile", help="Your own Locust user classes, as in the drill.", exists=True)
    ] = None,
) -> None:
    """Send part of the load of a drill that runs on another machine: `tiercli drill run --await-workers N
    --bind HOST:PORT`.

    The worker waits for its master, receives the load plan, and ends with it. Keys are never sent over the
    connection: with --env they are read on this machine, from where the catalog names. The connection is
    neither encrypted nor authenticated; use a private network.
    """

    variables = dict(os.environ)
    if env is not None:
        if catalog is None:
            raise InvalidInput("--env requires --catalog", hint="--catalog FILE")
        loaded = load_catalog(catalog, further_checks(with_cases=False))
        way = gateway_way(loaded, env, access_to(loaded, env, "gateway", "a worker needs what lets its calls in"))
        variables[KEYS] = json.dumps(dict(way.keys))
        if way.ca_file:
            variables[AUTHORITIES] = way.ca_file
    argv = worker_command(master, port, str(locustfile) if locustfile else None)
    os.execve(argv[0], argv, variables)  # noqa: S606 - Locust takes this process' place
