"""`convoke phone`: send and read messages as a simulated phone of a running instance."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import click

from convoke.cli.credentials import TOKEN_VARIABLE, account_sid_option
from convoke.cli.data_file import existing_data_option
from convoke.cli.installation import open_installation
from convoke.cli.output import print_object, print_rows
from convoke.domain.addresses import channel_of

TIMEOUT_SECONDS = 30

PAGE_SIZE = 100

SIMULATE = "/convoke/v1/Simulate"

url_option = click.option(
    "--url",
    default="http://127.0.0.1:8000",
    show_default=True,
    help="Base URL of the running instance, as `convoke up` printed it.",
)


@click.group()
def phone() -> None:
    """Send and read messages as a simulated phone."""


@phone.command("send")
@click.option("--from", "sender", metavar="NUMBER", required=True, help="Number of the phone, such as +15558675310.")
@click.option(
    "--to",
    "receivers",
    metavar="NUMBER",
    required=True,
    multiple=True,
    help="Business number. Repeat the option for a group MMS to several receivers.",
)
@click.option("--body", default="", help="Text of the message.")
@url_option
@account_sid_option
@existing_data_option
def phone_send(sender: str, receivers: Sequence[str], body: str, url: str, account_sid: str | None, data: str) -> None:
    """Send a message from a simulated phone to a business number of a running instance.

    The printed `outcome` is `added`, `rejected` by the receiver of a pre-event, or `unclaimed`: no conversation expects
    the message, and no address configuration with autocreation has the business number.

    If an Account SID is given and CONVOKE_AUTH_TOKEN is set, the command does not read the data
    file.
    """
    form = {"From": sender, "To": receivers, "Body": body}
    print_object(_call(url, _credentials(account_sid, data), f"{SIMULATE}/InboundMessages", form))


@phone.command("inbox")
@click.argument("number")
@url_option
@account_sid_option
@existing_data_option
def phone_inbox(number: str, url: str, account_sid: str | None, data: str) -> None:
    """Print the messages that a simulated phone has got, oldest first.

    Prints a table on a terminal, and otherwise one line of JSON for each message. If an Account SID is given and
    CONVOKE_AUTH_TOKEN is set, the command does not read the data file.
    """
    if channel_of(number) is None:
        raise click.BadParameter("must be the address of a phone, such as +15558675310", param_hint="NUMBER")
    credentials = _credentials(account_sid, data)
    print_rows(_list_messages(url.rstrip("/"), credentials, f"{SIMULATE}/Phones/{quote(number, safe='')}/Messages"))


def _list_messages(url: str, credentials: tuple[str, str], path: str) -> Iterator[dict[str, Any]]:
    """Yield the messages of all pages.

    The instance returns a URL for the next page. The host in this URL can differ from the host in `url`, so use only
    the query.
    """
    following: str | None = f"{path}?PageSize={PAGE_SIZE}"
    while following:
        page = _call(url, credentials, following)
        yield from page["messages"]
        following = page["meta"]["next_page_url"] and f"{path}?{urlsplit(page['meta']['next_page_url']).query}"


def _credentials(account_sid: str | None, data: str) -> tuple[str, str]:
    """Return the Account SID and the Auth Token.

    Read the data file, unless both `account_sid` and CONVOKE_AUTH_TOKEN are set.
    """
    token = os.environ.get(TOKEN_VARIABLE)
    if account_sid and token:
        return account_sid, token
    with open_installation(data, None) as installation:
        sid = installation.account_sid(account_sid)
        return sid, installation.accounts.token(sid)


def _call(url: str, credentials: tuple[str, str], path: str, form: Mapping[str, object] | None = None) -> Any:
    """Send a request to the running instance, and return the body of the answer. Raise ClickException if this fails."""
    authorization = "Basic " + b64encode(":".join(credentials).encode()).decode()
    body = None if form is None else urlencode(form, doseq=True).encode()
    request = urllib.request.Request(f"{url.rstrip('/')}{path}", body, {"Authorization": authorization})  # noqa: S310 - http
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - http
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise click.ClickException(_message(error)) from error
    except (OSError, ValueError) as error:
        raise click.ClickException(f"no instance answers at {url}: start `convoke up`, or use --url") from error


def _message(error: urllib.error.HTTPError) -> str:
    """Return the error message from the answer of the instance."""
    try:
        return str(json.load(error)["message"])
    except (ValueError, LookupError):
        return f"the instance answered with the status {error.code}"
