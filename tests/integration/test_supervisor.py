from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pacs.errors import SettingsError
from pacs.supervisor import claim_address, keep_to_processor


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


@pytest.fixture
def process() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as running:
        yield running.pid
        running.kill()


def test_processes_enough_for_all_processors_keep_to_one_each(process: int) -> None:
    processors = sorted(os.sched_getaffinity(0))
    for number in range(len(processors) + 1):
        keep_to_processor(process, number, len(processors))
        assert os.sched_getaffinity(process) == {processors[number % len(processors)]}


def test_fewer_processes_than_processors_may_use_all_of_them(process: int) -> None:
    keep_to_processor(process, 0, len(os.sched_getaffinity(0)) - 1)
    assert os.sched_getaffinity(process) == os.sched_getaffinity(0)
