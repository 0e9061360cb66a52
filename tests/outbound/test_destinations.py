"""What the service connects to when somebody else names the address, and what not."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest

from app.outbound.destinations import Destinations, Refused

PUBLIC_ONLY = Destinations()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
        "169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.192", "192.0.2.1", "198.18.0.1", "224.0.0.1",
        "240.0.0.1", "255.255.255.255", "168.63.129.16",
        "::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "fec0::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:7f00:1::1", "2002:a00:1::1",
        "2001:0:7f00:1::1", "2001::1",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_refused(address):
    """By its number, and inside an IPv6 address: mapped, compatible, translated (NAT64), 6to4, Teredo."""
    assert not PUBLIC_ONLY.permits(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_a_public_address_is_permitted(address):
    assert PUBLIC_ONLY.permits(ipaddress.ip_address(address))


def test_the_operator_allows_networks_of_its_own_and_nothing_beside_them():
    own = Destinations(networks=(ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd12::/32")))

    permitted = {text for text in ("10.1.2.3", "::ffff:10.1.2.3", "fd12::5", "10.2.0.1", "fd13::1", "127.0.0.1")
                 if own.permits(ipaddress.ip_address(text))}  # fmt: skip

    assert permitted == {"10.1.2.3", "::ffff:10.1.2.3", "fd12::5"}


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://erp.example/", "must begin with https://"), ("ftp://erp.example/", "must begin with https://"),
        ("erp.example", "must begin with https://"), ("https://", "names no host"), ("https://.", "names no host"),
        ("https://:443/", "names no host"), ("https://erp.example:99999/", "is not a URL that can be read"),
        ("https://erp.example:0/", "names port 0"), ("https://user:secret@erp.example/", "must not hold a user name"),
        ("https://@erp.example/", "must not hold a user name"), ("https://erp.example/#a", "must not have a fragment"),
        ("https://erp.example/ x", "must be a URL of ASCII"), ("https://erp.example\\@evil/", "must be a URL of ASCII"),
        ("https://erp.exämple/", "must be a URL of ASCII"), ("https://erp.example/\r\nx: y", "must be a URL of ASCII"),
        ("https://127.0.0.1/", "127.0.0.1 is not a public address"),
        ("https://[::1]/", "::1 is not a public address"), ("https://[::ffff:10.0.0.1]:8443/", "not a public address"),
        ("https://localhost/", "localhost is this machine itself"), ("https://a.localhost/", "is this machine itself"),
        ("https://LOCALHOST./", "localhost is this machine itself"), ("https://[::1/", "is not a URL that can be read"),
    ],
)  # fmt: skip
def test_a_url_that_cannot_be_posted_to_is_told_so_at_once(url, says):
    problem = PUBLIC_ONLY.url_problem(url)

    assert problem is not None and says in problem


@pytest.mark.parametrize(
    "url", ["https://erp.example", "https://erp.example:8443/a/b?c=d", "https://8.8.8.8/x", "https://[2606:4700::1]/"]
)
def test_a_url_of_a_public_place_is_fine(url):
    assert PUBLIC_ONLY.url_problem(url) is None


def named(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Every name is at these addresses, whatever the machine's own resolver says."""

    def answer(_host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET6 if ":" in item else socket.AF_INET, socket.SOCK_STREAM, 6, "", (item, port))
                for item in addresses]  # fmt: skip

    monkeypatch.setattr(socket, "getaddrinfo", answer)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.8", "::1", "::ffff:192.168.0.1", "fe80::1%eth0"])
def test_a_name_that_leads_inside_is_refused(monkeypatch, address):
    named(monkeypatch, address)

    with pytest.raises(Refused, match=r"rebind\.example is at .*, which is not public"):
        PUBLIC_ONLY.resolved("https://rebind.example/")


def test_of_several_addresses_only_the_public_ones_are_connected_to(monkeypatch):
    named(monkeypatch, "10.0.0.8", "8.8.8.8", "::1", "8.8.8.8")

    target, addresses = PUBLIC_ONLY.resolved("https://erp.example:8443/a?b=c")

    assert addresses == ["8.8.8.8"]
    assert (target.host, target.port, target.path, target.host_header) == (
        "erp.example", 8443, "/a?b=c", "erp.example:8443",
    )  # fmt: skip


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost"])
def test_another_spelling_of_this_machine_is_refused(host):
    """The resolver of the machine reads 2130706433 as 127.0.0.1, and so may that of a library."""
    with pytest.raises((Refused, OSError)):
        PUBLIC_ONLY.resolved(f"https://{host}/")
