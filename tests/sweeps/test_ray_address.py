"""Addresses of Ray clusters: each that leads to none is refused in one line, within seconds."""

from __future__ import annotations

import socket
import time

import pytest

from modeseek.sweeps.ray_address import ANSWER_SECONDS, CONNECT_SECONDS, check_address, check_answer, check_listening


def test_half_a_minute_is_kept() -> None:
    assert CONNECT_SECONDS + ANSWER_SECONDS <= 24  # the rest is for the start of the command


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:1", "there is no Ray cluster at 127.0.0.1:1: Connection refused; start one with ray start --head"),
        ("ray://127.0.0.1:1", "there is no Ray cluster at ray://127.0.0.1:1: Connection refused"),
        ("no.such.host.invalid:6379", "there is no Ray cluster at no.such.host.invalid:6379"),
        ("[::1]:1", "there is no Ray cluster at [::1]:1"),
        ("127.0.0.1", "--address must be HOST:PORT, ray://HOST:PORT or auto, got '127.0.0.1'"),
        ("localhost:99999", "--address must be HOST:PORT"),
        ("localhost:0", "--address must be HOST:PORT"),
        ("http://localhost:6379", "--address must be HOST:PORT"),
        ("", "--address must be HOST:PORT"),
    ],
)
def test_addresses_without_a_listener(address: str, words: str) -> None:
    began = time.monotonic()
    with pytest.raises(ValueError) as caught:
        check_address(address)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert time.monotonic() - began < 15


def test_a_listener_that_is_no_cluster() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        check_listening(address)
        with pytest.raises(
            ValueError, match="no answer within 0.5 s; start one with ray start --head, or check its firewall"
        ):
            check_answer(address, 0.5)


def test_the_reason_of_a_cluster_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modeseek.sweeps.ray_address._PROBE", "raise ConnectionError('wrong version')")
    with pytest.raises(ValueError, match="there is no Ray cluster at auto: wrong version; start"):
        check_answer("auto", 20.0)
    monkeypatch.setattr("modeseek.sweeps.ray_address._PROBE", "pass")
    check_answer("auto", 20.0)
