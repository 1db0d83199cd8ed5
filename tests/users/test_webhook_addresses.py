"""To which addresses no webhook is sent, whatever they are written as and whatever a resolver answers."""

import socket
import threading
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from pytest_django import Settings

from tests.client import Api
from tests.problems import places_of, problem_of, stored
from users.webhooks import addresses
from users.webhooks.addresses import UrlRefused, check, is_global, parse, resolve

PUBLIC = "93.184.216.34"

# None of these is what the check takes for a plain public address.
REFUSED = """
ftp://example.com/
//example.com/
example.com/hook
https:/example.com/
https:example.com
https:///hook
https://
https://user@example.com/
https://user:password@example.com/
https://example.com@127.0.0.1/
https://127.0.0.1@example.com/
https://example.com#@127.0.0.1/
https://example.com/#fragment
https://example.com\\@127.0.0.1/
https:\\\\example.com\\
https://example.com:/
https://example.com:0/
https://example.com:22/
https://example.com:25/
https://example.com:465/
https://example.com:587/
https://example.com:2049/
https://example.com:6667/
https://example.com:65536/
https://example.com:99999999/
https://example.com:-1/
https://example.com:80a/
https://example.com:٤٤٣/
https://exa mple.com/
https://example.com/a b
https://example.com/\t
https://example.com/\r\nHost:x
https://example.com/%
https://example.com/%zz
https://example.com/é
https://example.com%2f@127.0.0.1/
https://example%2ecom/
https://127.0.0.1/
https://127.0.0.1:8443/
https://127.1/
https://127.000.000.001/
https://0177.0.0.1/
https://0x7f.0.0.1/
https://0x7f000001/
https://2130706433/
https://017700000001/
https://127.0.0.1./
https://１２７.0.0.1/
https://127。0。0。1/
https://①②⑦.0.0.1/
https://0/
https://0.0.0.0/
https://10.0.0.1/
https://172.16.0.1/
https://172.31.255.255/
https://192.168.1.1/
https://100.64.0.1/
https://100.100.100.200/
https://169.254.169.254/latest/meta-data
https://168.63.129.16/
https://192.0.0.192/
https://192.0.2.1/
https://192.88.99.1/
https://198.18.0.1/
https://198.51.100.1/
https://203.0.113.1/
https://224.0.0.1/
https://240.0.0.1/
https://255.255.255.255/
https://[::1]/
https://[::]/
https://[::ffff:127.0.0.1]/
https://[::ffff:7f00:1]/
https://[::ffff:93.184.216.34]/
https://[::127.0.0.1]/
https://[64:ff9b::127.0.0.1]/
https://[64:ff9b::a00:1]/
https://[64:ff9b::a9fe:a9fe]/
https://[64:ff9b:1::1]/
https://[2002:7f00:1::]/
https://[2002:5db8:d822::]/
https://[2001::1]/
https://[2001:db8::1]/
https://[3fff::1]/
https://[fc00::1]/
https://[fd00:ec2::254]/
https://[fe80::1]/
https://[fe80::1%25eth0]/
https://[fe80::1%eth0]/
https://[fec0::1]/
https://[ff02::1]/
https://[100::1]/
https://[5f00::1]/
https://[2606:2800:220:1:0:5efe:7f00:1]/
https://[::1/
https://::1/
https://[1.2.3.4]/
https://[example.com]/
https://.example.com/
https://example..com/
https://example.com./
https://-example.com/
https://exam$ple.com/
https://exam[ple.com/
https://{long}/
http://example.com/
http://93.184.216.34/
""".strip("\n").split("\n")
REFUSED = [each.replace("{long}", "a" * 64).replace("\\t", "\t").replace("\\r\\n", "\r\n") for each in REFUSED]

ACCEPTED = {
    "https://example.com": "https://example.com/",
    "HTTPS://EXAMPLE.com/Hook": "https://example.com/Hook",
    "https://example.com:443/": "https://example.com/",
    "https://example.com:8443/a/b?c=d&e=%20": "https://example.com:8443/a/b?c=d&e=%20",
    "https://example.com?token=x": "https://example.com/?token=x",
    "https://example.com/a@b:c;d=~'(e)": "https://example.com/a@b:c;d=~'(e)",
    "https://bücher.example/": "https://xn--bcher-kva.example/",
    "https://straße.example/": "https://xn--strae-oqa.example/",
    "https://my_host.example/": "https://my_host.example/",
    "https://93.184.216.34/": "https://93.184.216.34/",
    "https://[2606:2800:220:1:248:1893:25c8:1946]:8443/": "https://[2606:2800:220:1:248:1893:25c8:1946]:8443/",
    "https://[64:ff9b::5db8:d822]/": "https://[64:ff9b::5db8:d822]/",
}

Answers = Callable[..., None]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Sets what the resolver answers for every name, once for each look-up; the last one again and again."""

    def set_answers(*found: list[str]) -> None:
        left = [*found]

        def getaddrinfo(host: str, port: int, **options: Any) -> list[Any]:
            given = left[0] if len(left) == 1 else left.pop(0)
            if not given:
                raise socket.gaierror(socket.EAI_NONAME, "no such name")
            family = {4: socket.AF_INET, 6: socket.AF_INET6}
            return [(family[6 if ":" in each else 4], socket.SOCK_STREAM, 6, "", (each, port)) for each in given]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    set_answers([PUBLIC])
    return set_answers


@pytest.mark.parametrize("url", REFUSED)
def test_this_is_refused(answers: Answers, url: str) -> None:
    with pytest.raises(UrlRefused):
        check(url)


def test_there_are_enough_of_them() -> None:
    assert len(REFUSED) == len({*REFUSED}) >= 100


@pytest.mark.parametrize(("url", "stored"), ACCEPTED.items())
def test_this_is_accepted_in_its_one_form(answers: Answers, url: str, stored: str) -> None:
    assert check(url) == stored == check(stored)


RESOLVED = [
    [],
    ["127.0.0.1"],
    ["10.1.2.3"],
    ["169.254.169.254"],
    ["::1"],
    ["::ffff:10.0.0.1"],
    ["::ffff:93.184.216.34"],
    ["fe80::1%eth0"],
    ["fd00:ec2::254"],
    ["2002:a00:1::"],
    ["64:ff9b::10.0.0.1"],
    ["168.63.129.16"],
    ["0.0.0.0"],
    [PUBLIC, "127.0.0.1"],
    ["127.0.0.1", PUBLIC],
    [PUBLIC, "::1"],
    [PUBLIC, "fe80::1%1"],
]


@pytest.mark.parametrize("found", RESOLVED, ids=lambda found: ",".join(found) or "nothing")
def test_a_name_that_leads_there_is_refused(answers: Answers, found: list[str]) -> None:
    answers(found)
    with pytest.raises(UrlRefused):
        check("https://example.com/")


def test_one_refusal_does_not_tell_which_names_there_are(answers: Answers) -> None:
    told = set()
    for found in RESOLVED:
        answers(found)
        with pytest.raises(UrlRefused) as refusal:
            check("https://intranet.example/")
        told.add(refusal.value.detail)
    assert len(told) == 1


def test_what_was_checked_is_what_is_connected_to(answers: Answers) -> None:
    """A resolver that changes its answer is asked once for each connection."""
    answers([PUBLIC], ["127.0.0.1"])
    assert resolve(parse("https://example.com/")) == [ip_address(PUBLIC)]
    with pytest.raises(UrlRefused):
        resolve(parse("https://example.com/"))


def test_names_with_very_many_addresses_are_bounded(answers: Answers) -> None:
    answers([f"93.184.{number // 250}.{number % 250}" for number in range(5000)])
    assert len(resolve(parse("https://example.com/"))) == addresses.MAX_ADDRESSES


def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: goes_on.wait(20) and [])
    with pytest.raises(UrlRefused):
        resolve(parse("https://example.com/"), seconds=0.05)
    goes_on.set()


@pytest.fixture
def home(settings: Settings) -> Iterator[None]:
    settings.WEBHOOK_ALLOWED_NETWORKS = [ip_network("192.168.0.0/16"), ip_network("fd00::/8"), ip_network("10.0.0.7")]
    yield


@pytest.mark.parametrize(
    ("url", "is_accepted"),
    [
        ("http://192.168.1.5:8123/hook", True),
        ("https://192.168.1.5/hook", True),
        ("http://[fd00::5]/", True),
        ("http://10.0.0.7/", True),
        ("http://10.0.0.8/", False),
        ("https://127.0.0.1/", False),
        ("http://93.184.216.34/", False),
        ("https://93.184.216.34/", True),
        ("http://[::ffff:192.168.1.5]/", False),
        ("http://192.168.1.5:25/", False),
        ("http://user@192.168.1.5/", False),
    ],
)
def test_the_operators_networks_are_allowed_and_nothing_else(home: None, url: str, is_accepted: bool) -> None:
    if is_accepted:
        assert check(url).startswith(url.rstrip("/"))
    else:
        with pytest.raises(UrlRefused):
            check(url)


def test_http_to_a_name_needs_every_address_in_the_networks(home: None, answers: Answers) -> None:
    answers(["192.168.1.5"], ["192.168.1.5", PUBLIC])
    assert check("http://nas/hook") == "http://nas/hook"
    with pytest.raises(UrlRefused):
        check("http://nas/hook")


def test_special_addresses_are_none_of_the_internet_in_any_version_of_python() -> None:
    for network in ("10.0.0.0/8", "100.64.0.0/10", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"):
        assert not is_global(ip_network(network)[1]) and not is_global(ip_network(network)[-1])
    for global_ in ("1.1.1.1", "100.63.255.255", "172.15.0.1", "172.32.0.1", "2606:4700::1111", "192.0.1.1"):
        assert is_global(ip_address(global_))


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/", "https://user@example.com/", "http://example.com/", "", "x" * 3000, 7, None]
)
def test_the_api_names_the_member(as_alice: Api, answers: Answers, url: Any) -> None:
    made = as_alice.post("/api/me/webhooks", {"url": "https://example.com/"}).json()
    before = stored()
    assert places_of(as_alice.post("/api/me/webhooks", {"url": url}), "pointer") == ["/url"]
    assert places_of(as_alice.patch(f"/api/me/webhooks/{made['id']}", {"url": url}), "pointer") == ["/url"]
    assert stored() == before


def test_the_refusal_has_a_code(as_alice: Api) -> None:
    problem = problem_of(as_alice.post("/api/me/webhooks", {"url": "https://10.0.0.1/"}), 400)
    assert problem["errors"][0]["code"] == "url_refused"
