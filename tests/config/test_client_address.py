"""The client's address of a request: of `X-Forwarded-For`, only the entries of our own proxies are trusted."""

import pytest
from django.test import RequestFactory
from pytest_django import Settings

from config.http.request import client_address, network

PROXY = "10.0.0.1"
SPOOFED = "6.6.6.6"


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, None, PROXY),
        (0, SPOOFED, PROXY),
        (1, None, PROXY),
        (1, "", PROXY),
        (1, "192.0.2.1", "192.0.2.1"),
        (1, f"{SPOOFED}, 192.0.2.1", "192.0.2.1"),
        (1, f"{SPOOFED},{SPOOFED},  192.0.2.1 ", "192.0.2.1"),
        (2, f"{SPOOFED}, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
        (2, "192.0.2.1", PROXY),  # not through both of them
        (3, f"{SPOOFED}, 192.0.2.1", PROXY),
        (1, "192.0.2.1:4711", "192.0.2.1"),
        (1, "2001:db8::1", "2001:db8::1"),
        (1, "2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        (1, "[2001:db8::1]", "2001:db8::1"),
        (1, "[2001:db8::1]:4711", "2001:db8::1"),
        (1, "fe80::1%eth0", "fe80::1"),
        (1, "::ffff:192.0.2.1", "192.0.2.1"),
        (1, "[::ffff:192.0.2.1]:80", "192.0.2.1"),
        (1, "unknown", PROXY),
        (1, f"{SPOOFED}, _hidden", PROXY),
        (1, "192.0.2.1,", PROXY),
        (1, "192.0.2.999", PROXY),
        (1, "192.0.2.1'; --", PROXY),
        (1, "[", PROXY),
        (1, "报告", PROXY),
    ],
)
def test_the_entries_of_trusted_proxies_are_believed(
    settings: Settings, proxies: int, forwarded: str | None, address: str
) -> None:
    settings.TRUSTED_PROXIES = proxies
    request = RequestFactory().get("/", REMOTE_ADDR=PROXY)
    if forwarded is not None:
        request.META["HTTP_X_FORWARDED_FOR"] = forwarded
    assert client_address(request.META) == address


@pytest.mark.parametrize(
    ("peer", "address"), [("::ffff:192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::1"), ("", ""), (None, "")]
)
def test_the_peer_is_taken_as_the_server_names_it(peer: str | None, address: str) -> None:
    request = RequestFactory().get("/", REMOTE_ADDR=peer)
    if peer is None:
        del request.META["REMOTE_ADDR"]  # as over a unix socket
    assert client_address(request.META) == address


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("", "", True),
        ("", "192.0.2.1", False),
    ],
)
def test_an_ipv6_client_is_its_network(one: str, other: str, is_same: bool) -> None:
    assert (network(one) == network(other)) is is_same
