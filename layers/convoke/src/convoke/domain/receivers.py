"""Where webhooks may be called: what keeps a deployment from calling what is behind its own doors."""

from __future__ import annotations

import ipaddress
import socket
import unicodedata
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from convoke.domain.errors import InvalidWebhookSettingsError, refusal

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NOT_PUBLIC: tuple[Network, ...] = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",  # carrier-grade NAT
            "127.0.0.0/8",
            "169.254.0.0/16",  # link-local, with the metadata of AWS
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",
            # All of IPv6 but 2000::/3, the global unicast addresses, and of these what is set apart
            "::/3",
            "4000::/2",
            "8000::/1",
            "2001::/23",
            "2001:db8::/32",
            "3fff::/20",
        ),
    )
)
"""Spelled out, as what Python calls global differs from version to version."""

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

LOOPBACK = "127.0.0.1"
LOOPBACK_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})


def receiver_of(url: str) -> str:
    """Return scheme, host and port of an accepted URL: the receiver that limits and circuit breakers apply to."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://{parts.hostname}:{port}"


@dataclass(frozen=True, slots=True)
class ReceiverRules:
    """Without any, as on one machine, webhooks may be called wherever they are."""

    public_only: bool = False
    allowed: tuple[Network, ...] = ()
    """Networks that may be called although they are not public."""
    https_only: bool = False

    @classmethod
    def of_deployment(cls, allowed: Iterable[str], *, https_only: bool) -> Self:
        """Raises ValueError for what is no network."""
        networks = tuple(ipaddress.ip_network(network, strict=False) for network in allowed)
        return cls(public_only=True, allowed=networks, https_only=https_only)

    def refuse(self, urls: Mapping[str, str | None]) -> None:
        """Raises InvalidWebhookSettingsError for those that no webhook may have, by the names of their parameters."""
        problems = [problem.at(name) for name, url in urls.items() if url and (problem := self._problem(url))]
        if problems:
            raise refusal(problems)

    def accepts(self, url: str) -> bool:
        """As far as can be told without resolving a name: what it resolves to is looked at when it is called."""
        return self._problem(url) is None

    def allows(self, address: str) -> bool:
        """Whether a receiver may be at an IP address."""
        if not self.public_only:
            return True
        meant = _meant(ipaddress.ip_address(address))
        return any(meant in network for network in self.allowed) or not any(meant in network for network in NOT_PUBLIC)

    def _problem(self, url: str) -> InvalidWebhookSettingsError | None:
        parts = urlsplit(url)
        if self.https_only and parts.scheme != "https":
            return InvalidWebhookSettingsError(wanted="a URL with https")
        literal = _literal(parts.hostname or "")
        if literal and not self.allows(literal):
            return InvalidWebhookSettingsError(wanted="a URL with a public host")
        return None


def _literal(host: str) -> str | None:
    """The IP address that a host is, in any form that resolvers take for one: 127.1, 0x7f000001 and localhost too."""
    name = unicodedata.normalize("NFKC", host).lower().rstrip(".")
    if name in LOOPBACK_NAMES or name.endswith((".localhost", ".localhost.localdomain")):
        return LOOPBACK
    with suppress(ValueError):
        return str(ipaddress.ip_address(name))
    with suppress(OSError, ValueError):
        return socket.inet_ntoa(socket.inet_aton(name))
    return None


def _meant(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for: mapped, 6to4, NAT64; elsewhere itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address
