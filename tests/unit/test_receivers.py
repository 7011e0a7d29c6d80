"""The rules of a deployment determine which webhook URLs can be called (domain/receivers.py)."""

from __future__ import annotations

import pytest

from convoke.domain.errors import InvalidWebhookSettingsError
from convoke.domain.receivers import ReceiverRules

PUBLIC_ONLY = ReceiverRules.of_deployment([], https_only=False)

NOT_PUBLIC = [
    "http://127.0.0.1/",
    "http://127.0.0.1:9001/2018-06-01/runtime/invocation/next",
    "http://127.1/",
    "http://2130706433/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://0x7f.0.0.1/",
    "http://0x7f000001/",
    "http://0X7F000001/",
    "http://127.0.0.1./",
    "http://\uff11\uff12\uff17.0.0.1/",
    "http://localhost/",
    "http://LocalHost:3000/",
    "http://localhost./",
    "http://hooks.localhost/",
    "http://localhost.localdomain/",
    "http://ip6-localhost/",
    "http://0.0.0.0/",
    "http://0/",
    "http://10.1.2.3/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://0xa9fea9fe/",
    "http://172.31.255.255/",
    "http://192.168.0.1/",
    "http://198.18.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://user:password@10.1.2.3/",
    "http://hooks.example.com@10.1.2.3/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::FFFF:7f00:1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::10.1.2.3]/",
    "http://[64:ff9b:1::1]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:5ef5:79fd::1]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/",
    "http://[ff02::1]/",
]

PUBLIC = [
    "https://hooks.example.com/",
    "http://8.8.8.8/",
    "http://134744072/",
    "http://172.32.0.1/",
    "http://100.128.0.1/",
    "http://[2600:1f18::1]/",
    "http://[64:ff9b::8.8.8.8]/",
    "http://[::ffff:8.8.8.8]/",
    "http://localhost.example.com/",
    "http://10.1.2.3.example.com/",
]


@pytest.mark.parametrize("url", NOT_PUBLIC)
def test_url_with_a_private_address_in_any_notation_is_rejected(url: str) -> None:
    with pytest.raises(InvalidWebhookSettingsError) as refused:
        PUBLIC_ONLY.refuse({("post_webhook_url",): url})
    assert refused.value.field == ("post_webhook_url",)
    assert refused.value.message.endswith("a URL with a public host")


@pytest.mark.parametrize("url", PUBLIC)
def test_url_with_a_public_address_or_a_host_name_is_accepted(url: str) -> None:
    PUBLIC_ONLY.refuse({("post_webhook_url",): url})


@pytest.mark.parametrize("url", [*NOT_PUBLIC, *PUBLIC])
def test_without_receiver_rules_every_url_is_accepted(url: str) -> None:
    ReceiverRules().refuse({("post_webhook_url",): url})


def test_private_address_in_an_allowed_network_is_accepted() -> None:
    rules = ReceiverRules.of_deployment(["10.1.0.0/16", "fd12:3456::/48"], https_only=False)
    for url in ("http://10.1.2.3/", "http://[::ffff:10.1.2.3]/", "http://[fd12:3456::1]/"):
        rules.refuse({("post_webhook_url",): url})
    for url in ("http://10.2.0.1/", "http://[fd12:3457::1]/", "http://localhost/"):
        assert not rules.accepts(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9001/2018-06-01/runtime/invocation/next",
        "http://127.1/",
        "http://2130706433/",
        "http://localhost/",
        "http://0.0.0.0/",
        "http://169.254.169.254/latest/meta-data/",
        "http://169.254.100.1:9001/",
        "http://0xa9fea9fe/",
        "http://[::]/",
        "http://[::1]/",
        "http://[::127.0.0.1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b::169.254.169.254]/",
        "http://[2002:7f00:1::]/",
        "http://[fe80::1]/",
        "http://[fe80::1%25eth0]/",
        "http://[febf::1]/",
        "http://[fd00:ec2::254]/",
    ],
)
def test_own_host_and_link_local_addresses_are_rejected_even_if_everything_is_allowed(url: str) -> None:
    rules = ReceiverRules.of_deployment(["0.0.0.0/0", "::/0"], https_only=False)
    assert not rules.accepts(url)
    with pytest.raises(InvalidWebhookSettingsError):
        rules.refuse({("post_webhook_url",): url})


@pytest.mark.parametrize("url", ["http://10.1.2.3/", "http://192.168.0.1/", "http://[fd12::1]/", "http://8.8.8.8/"])
def test_any_other_address_is_accepted_if_everything_is_allowed(url: str) -> None:
    assert ReceiverRules.of_deployment(["0.0.0.0/0", "::/0"], https_only=False).accepts(url)


def test_http_url_is_rejected_if_https_is_required() -> None:
    rules = ReceiverRules.of_deployment([], https_only=True)
    assert rules.accepts("HTTPS://hooks.example.com/")
    with pytest.raises(InvalidWebhookSettingsError, match="must be an absolute http or https URL") as refused:
        rules.refuse({("pre_webhook_url",): "http://a.example.com/", ("post_webhook_url",): "http://b.example.com/"})
    assert refused.value.message.endswith("a URL with https")
    assert [problem.field for problem in (refused.value, *refused.value.others)] == [
        ("pre_webhook_url",),
        ("post_webhook_url",),
    ]


def test_malformed_allowed_network_raises_value_error() -> None:
    with pytest.raises(ValueError, match="hooks"):
        ReceiverRules.of_deployment(["hooks"], https_only=False)
