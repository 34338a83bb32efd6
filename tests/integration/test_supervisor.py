from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from pacs.errors import SettingsError
from pacs.supervisor import claim_address


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_in_use_is_told_before_anything_starts(taken_port: int) -> None:
    with pytest.raises(SettingsError, match=f"HTTP_PORT={taken_port} is in use"):
        claim_address("HTTP", "127.0.0.1", taken_port)


def test_port_zero_and_other_ports_give_a_free_one(taken_port: int) -> None:
    with claim_address("HTTP", "127.0.0.1", 0) as one:
        assert one.getsockname()[1] > 0
    with claim_address("HTTP", "127.0.0.1", taken_port, other_ports=True) as other:
        assert other.getsockname()[1] != taken_port


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(SettingsError, match="not an address of this machine"):
        claim_address("DICOM", "192.0.2.1", 11112)
