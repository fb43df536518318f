"""Ports that are kept: for the server that is told of them, from everybody else."""

from __future__ import annotations

import socket

import pytest

from tiercli.errors import BackendError, InvalidInput
from tiercli.sandbox.ports import PortAllocator
from tiercli.serving import LOOPBACK


def test_a_server_can_listen_stop_and_listen_again_on_a_kept_port() -> None:
    with PortAllocator() as allocate:
        port = allocate()
        for _ in range(2):
            with socket.create_server((LOOPBACK, port)), socket.create_connection((LOOPBACK, port)):
                pass
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((LOOPBACK, port))


def test_nobody_else_is_given_a_kept_port() -> None:
    with PortAllocator() as ours, PortAllocator() as theirs:
        kept = {ours() for _ in range(200)}
        assert len(kept) == 200
        assert kept.isdisjoint(theirs() for _ in range(200))
        with socket.socket() as other, pytest.raises(OSError, match="already in use"):
            other.bind((LOOPBACK, min(kept)))


def test_ports_are_given_back_at_the_end() -> None:
    with PortAllocator() as allocate:
        port = allocate()
    with socket.socket() as other:
        other.bind((LOOPBACK, port))


def test_a_port_asked_for_is_claimed_and_kept() -> None:
    with PortAllocator() as allocate:
        port = allocate()
    with PortAllocator() as allocate:
        assert allocate.claim(port, "prometheus") == port
        with socket.create_server((LOOPBACK, port)):
            pass
        with pytest.raises(InvalidInput, match=f"port {port} is used twice: for alertmanager"):
            allocate.claim(port, "alertmanager")


@pytest.mark.parametrize("reuse", [0, 1], ids=["a strict server", "a server that reuses addresses"])
def test_a_port_asked_for_that_is_taken_is_named(reuse: int) -> None:
    with socket.socket() as taken, PortAllocator() as allocate:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BackendError, match=f"port {port} for prometheus .* in use") as caught:
            allocate.claim(port, "prometheus")
        assert "any free port" in caught.value.hint


@pytest.mark.parametrize("port", [0, -1, 65_536, 10**9])
def test_what_is_no_port_is_refused(port: int) -> None:
    with (
        PortAllocator() as allocate,
        pytest.raises(InvalidInput, match=f"^{port} for prometheus is not a port"),
    ):
        allocate.claim(port, "prometheus")
