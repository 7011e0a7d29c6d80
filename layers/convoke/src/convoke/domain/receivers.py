"""The rules for the URLs of webhooks, of error logs and of the media of inbound messages.

The rules protect a deployment against server-side request forgery (SSRF). Without the rules, a client could make
Convoke call hosts in the internal network of the deployment.
"""

from __future__ import annotations

import ipaddress
import socket
import unicodedata
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from convoke.domain.errors import FieldPath, InvalidWebhookSettingsError, refusal
from convoke.domain.urls import normal_or_unchanged

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
            "169.254.0.0/16",  # link-local, includes the address of the EC2 instance metadata
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
            # In IPv6, only 2000::/3 has public addresses. The next three networks are everything outside 2000::/3. The
            # last three networks are the reserved networks inside 2000::/3.
            "::/3",
            "4000::/2",
            "8000::/1",
            "2001::/23",
            "2001:db8::/32",
            "3fff::/20",
        ),
    )
)
"""The networks that are not public.

Convoke does not use `ipaddress.is_global`, because the results of this attribute differ between Python versions.
"""

NEVER_ON_AWS: tuple[Network, ...] = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",  # a call to 0.0.0.0 reaches the calling host itself
            "127.0.0.0/8",  # includes the address of Lambda's runtime API
            "169.254.0.0/16",  # link-local, where Lambda and EC2 serve credentials and metadata
            "::/96",  # includes the unspecified address and the loopback address
            "fd00:ec2::/32",  # the IPv6 addresses of EC2's instance services, such as the metadata service
            "fe80::/10",  # link-local
        ),
    )
)
"""The networks in which a deployment never calls a receiver, even if the operator has allowed the network.

The runtime API, the X-Ray daemon and the credentials of a function have addresses in these networks. See
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html.
"""

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

LOOPBACK = "127.0.0.1"
LOOPBACK_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})


@dataclass(frozen=True, slots=True)
class ReceiverRules:
    """The rules of one Convoke instance. The default rules are for the embedded engine and allow every receiver."""

    public_only: bool = False
    """Whether Convoke calls only receivers that are in a public network or in a network of `allowed`."""
    allowed: tuple[Network, ...] = ()
    """The networks in which Convoke may call receivers even if the networks are not public."""
    refused: tuple[Network, ...] = ()
    """The networks in which Convoke does not call receivers, even if `allowed` contains the networks.

    The fields `allowed` and `refused` have an effect only if `public_only` is True.
    """
    https_only: bool = False

    @classmethod
    def of_deployment(cls, allowed: Iterable[str], *, https_only: bool) -> Self:
        """Return the rules of a deployment on AWS. Raise ValueError if a network in `allowed` is malformed."""
        networks = tuple(ipaddress.ip_network(network, strict=False) for network in allowed)
        return cls(public_only=True, allowed=networks, refused=NEVER_ON_AWS, https_only=https_only)

    def refuse(self, urls: Mapping[FieldPath, str | None]) -> None:
        """Raise InvalidWebhookSettingsError if a URL is not allowed.

        `urls` maps the path of each field to its URL, or to None if the request has no URL for the field.
        """
        problems = [
            InvalidWebhookSettingsError(field=field, wanted=wanted)
            for field, url in urls.items()
            if url and (wanted := self._unmet_requirement(url))
        ]
        if problems:
            raise refusal(problems)

    def accepts(self, url: str) -> bool:
        """Return whether a URL is allowed, without a DNS lookup of its host.

        After the DNS lookup, the webhook client checks each IP address with `allows`.
        """
        return self._unmet_requirement(url) is None

    def allows(self, address: str) -> bool:
        """Return whether Convoke may call a receiver that has this IP address."""
        if not self.public_only:
            return True
        receiver = _effective_address(ipaddress.ip_address(address))
        if any(receiver in network for network in self.refused):
            return False
        return any(receiver in network for network in self.allowed) or not any(
            receiver in network for network in NOT_PUBLIC
        )

    def _unmet_requirement(self, url: str) -> str | None:
        """Return the requirement that the URL does not meet, or None if the URL is allowed."""
        parts = urlsplit(normal_or_unchanged(url))
        if self.https_only and parts.scheme != "https":
            return "a URL with https"
        literal = _literal(parts.hostname or "")
        if literal and not self.allows(literal):
            return "a URL with a public host"
        return None


def _literal(host: str) -> str | None:
    """Return the IP address that `host` means without a DNS lookup, or None if `host` is a name.

    An IP address can have any form that resolvers accept, such as `127.1`. `localhost` and similar names mean
    127.0.0.1.
    """
    # Resolvers normalise a name before the lookup. For example, a full-width digit becomes an ASCII digit.
    name = unicodedata.normalize("NFKC", host).lower().rstrip(".")
    if name in LOOPBACK_NAMES or name.endswith((".localhost", ".localhost.localdomain")):
        return LOOPBACK
    with suppress(ValueError):
        return str(ipaddress.ip_address(name))
    # inet_aton accepts every form of an address that resolvers accept, such as 127.1, 0x7f000001 and 2130706433.
    with suppress(OSError, ValueError):
        return socket.inet_ntoa(socket.inet_aton(name))
    return None


def _effective_address(address: Address) -> Address:
    """Return the IPv4 address inside an IPv6 address, if the IPv6 address is IPv4-mapped, 6to4 or NAT64.

    Return any other address unchanged.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address
