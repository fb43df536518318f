"""llama.cpp's own server in place of a simulated one: real queues, counted by its own metrics."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from tiercli.catalog.model import Catalog
from tiercli.errors import ToolMissing
from tiercli.sandbox.plan import Endpoint, EstatePlan
from tiercli.sandbox.real_parts.interface import RealProcess, find_program
from tiercli.serving import LOOPBACK
from tiercli.sidecar.supervisor import ProcessSpec

_SERVER, _MODEL = "TIERCLI_LLAMA_SERVER", "TIERCLI_LLAMA_MODEL"
_GET = (
    f"install llama.cpp and name its llama-server with {_SERVER} or on PATH, and with {_MODEL} a GGUF model that answers in "
    "milliseconds; in a checkout `make real-parts` gets both"
)
_SLOTS = 2  # where the catalog says no concurrency
_STARTS_WITHIN_S = 60.0  # a model that is not tiny is read from a disk
_CONTEXT = 4096  # tokens of a slot: a drill's prompts are counted in words, a tiny model's in bytes


class LlamaCpp:
    """Each server of a provider whose binding is llamacpp."""

    name = "llama.cpp"
    binding = "llamacpp"
    kind: Literal["gateway", "servers"] = "servers"
    metrics_path = "/metrics"

    def version(self) -> str:
        """What the program says of itself. Raises ToolMissing."""
        program, _ = _installed()
        try:
            done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ToolMissing(f"{program} does not run: {error}", hint=_GET) from error
        found = re.search(r"version: (\S+)", done.stdout + done.stderr)
        if done.returncode or found is None:
            raise ToolMissing(f"{program} does not run as llama-server", hint=_GET)
        return found[1]

    def problems(self, catalog: Catalog) -> Iterator[str]:
        """It runs on this machine's processors, and serves one model."""
        providers = {name: provider for name, provider in catalog.providers.items() if provider.binding == self.binding}
        if not providers:
            yield "no provider of the catalog has the binding llamacpp"
        for of, provider in providers.items():
            if not provider.servers:
                yield f"{of} names no servers"
            for name, server in provider.servers.items():
                if server.gpus:
                    yield f"{name} has GPUs, and a llama.cpp that runs here has none: gpus: 0"

    def processes(self, plan: EstatePlan) -> Mapping[str, RealProcess]:
        """One for each server. Raises ToolMissing."""
        program, model = _installed()
        return {
            endpoint.key: RealProcess(
                _process(endpoint, program, model, plan.folder),
                f"http://{LOOPBACK}:{endpoint.upstream_port}/health",
                _STARTS_WITHIN_S,
            )
            for endpoint in plan.endpoints
            if endpoint.server is not None and plan.catalog.providers[endpoint.provider].binding == self.binding
        }


def _installed() -> tuple[Path, Path]:
    program = find_program("llama-server", _SERVER, _GET)
    model = Path(os.environ.get(_MODEL) or "")
    if not model.is_file():
        missing = (
            f"{model}, named by {_MODEL}, is no file"
            if _MODEL in os.environ
            else f"no model for it: {_MODEL} is not set"
        )
        raise ToolMissing(f"llama-server is there, and {missing}", hint=_GET)
    return program, model.absolute()


def _process(endpoint: Endpoint, program: Path, model: Path, folder: Path) -> ProcessSpec:
    slots = endpoint.concurrency or _SLOTS
    # A server that is full takes a whole processor: what measures it comes first.
    argv = (
        *("nice", "-n", "10", str(program), "--model", str(model), "--alias", endpoint.models[0], "--host", LOOPBACK),
        *("--port", str(endpoint.upstream_port), "--metrics", "--parallel", str(slots)),
        *("--ctx-size", str(slots * _CONTEXT), "--threads", "1", "--no-webui"),
    )
    name = f"llama-{endpoint.upstream_port}"
    return ProcessSpec(name, argv, folder / f"{name}.log", cwd=folder)
