"""Where may the service connect to, when somebody else names the address?

What a name resolves to is looked at, and that address is connected to: asking the name again could get another answer.
Whatever is not reachable for everybody (private, loopback, link-local, metadata services of clouds) is refused, unless
the operator allows its network.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_DEFAULT_PORTS = {"https": 443, "http": 80}
# Public by their numbers, at least for some versions of Python, and yet not: what clouds tell their machines (Azure,
# Oracle and whatever else is in 192.0.0.0/24), and what a site has for itself.
_INSIDE = tuple(
    ipaddress.ip_network(text) for text in ("168.63.129.16/32", "192.0.0.0/24", "fec0::/10", "64:ff9b:1::/48")
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class Refused(Exception):
    """The address may not be connected to; the text says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def host_header(self) -> str:
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == _DEFAULT_PORTS[self.scheme] else f"{name}:{self.port}"


@dataclass(frozen=True, slots=True)
class Destinations:
    """`networks` may be connected to although they are private; plain HTTP only where that is allowed."""

    allow_http: bool = False
    networks: tuple[Network, ...] = ()

    def url_problem(self, url: str) -> str | None:
        """What is wrong with a URL as far as it can be told without asking for its name; None where nothing is."""
        try:
            target = self._target(url)
        except ValueError as error:
            return str(error)
        try:
            address = ipaddress.ip_address(target.host)
        except ValueError:
            is_loopback = target.host == "localhost" or target.host.endswith(".localhost")
            if is_loopback and not self.permits(ipaddress.ip_address("127.0.0.1")):
                return f"{target.host} is this machine itself"
            return None
        return None if self.permits(address) else f"{address} is not a public address"

    def permits(self, address: Address) -> bool:
        """True for a public address and for one of an allowed network. An IPv6 address that stands for an IPv4 address
        is judged by that."""
        return all(_is_public(each) or self._is_allowed(each) for each in _inner(address))

    def _is_allowed(self, address: Address) -> bool:
        return any(address.version == network.version and address in network for network in self.networks)

    def resolved(self, url: str) -> tuple[Target, list[str]]:
        """The addresses behind the URL that may be connected to. Raises Refused, or OSError where the name is not
        known."""
        try:
            target = self._target(url)
        except ValueError as error:
            raise Refused(str(error)) from error
        try:
            found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        except UnicodeError as error:
            raise Refused("the host is no name that can be asked for") from error
        texts = dict.fromkeys(str(item[4][0]) for item in found)
        allowed = [text for text in texts if "%" not in text and self.permits(ipaddress.ip_address(text))]
        if not allowed:
            raise Refused(f"{target.host} is at {', '.join(texts) or 'no address'}, which is not public")
        return target, allowed

    def _target(self, url: str) -> Target:
        """Raises ValueError with a sentence for whoever sent the URL."""
        if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
            raise ValueError("must be a URL of ASCII characters without spaces and backslashes")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ValueError("is not a URL that can be read") from None
        self._check(parts, port)
        scheme, host = parts.scheme, (parts.hostname or "").rstrip(".")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Target(scheme, host, port or _DEFAULT_PORTS[scheme], path)

    def _check(self, parts: SplitResult, port: int | None) -> None:
        schemes = ("https", "http") if self.allow_http else ("https",)
        if parts.scheme not in schemes:
            raise ValueError(f"must begin with {' or '.join(f'{name}://' for name in schemes)}")
        if not (parts.hostname or "").rstrip("."):
            raise ValueError("names no host")
        if parts.username is not None or parts.password is not None:
            raise ValueError("must not hold a user name or password: messages are signed instead")
        if parts.fragment:
            raise ValueError("must not have a fragment (#..)")
        if port == 0:
            raise ValueError("names port 0, which there is not")


def _inner(address: Address) -> tuple[Address, ...]:
    """The address, or the IPv4 addresses that an IPv6 address carries inside."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return address, address.sixtofour
    if address.teredo is not None:
        return address, *address.teredo
    if address in _NAT64:
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    return (address,)


def _is_public(address: Address) -> bool:
    if address.is_multicast or address.is_reserved or not address.is_global:
        return False
    return not any(address.version == network.version and address in network for network in _INSIDE)
