"""`convoke sender`: assign the phone numbers of an AWS account to accounts of Convoke, and manage all senders."""

from __future__ import annotations

import click
from pydantic import ValidationError

from convoke.api.errors import problems_of
from convoke.cli.data_file import existing_data_option
from convoke.cli.installation import Installation, open_installation, stack_option
from convoke.cli.output import print_object, print_rows
from convoke.domain.errors import ConversationsError
from convoke.domain.senders import AssignedSender, Sender, SenderChange
from convoke.domain.sids import Prefix, parse_sid


@click.group()
def sender() -> None:
    """Manage the business addresses of accounts and their carriers."""


@sender.command("assign")
@click.argument("address")
@click.argument("account_sid", required=False)
@click.option(
    "--origination-identity",
    metavar="ARN",
    required=True,
    help="ARN of the phone number or pool in AWS End User Messaging SMS. The parameter SmsSenderArns must contain it.",
)
@click.option("--configuration-set", metavar="NAME", help="Configuration set that publishes the delivery events.")
@click.option(
    "--max-messages-per-second",
    metavar="N",
    help="Maximum number of copies that Convoke sends from ADDRESS in each second. By default, there is no maximum.",
)
@existing_data_option
@stack_option
def sender_assign(
    address: str,
    account_sid: str | None,
    origination_identity: str,
    configuration_set: str | None,
    max_messages_per_second: str | None,
    data: str,
    stack: str | None,
) -> None:
    """Assign a phone number of the deployment's AWS account to an account.

    The account then sends from ADDRESS. ACCOUNT_SID defaults to the oldest account. Only an AWS deployment can use such
    a sender, so the command needs --stack.
    """
    if stack is None:
        raise click.ClickException("only an AWS deployment has senders of its AWS account: use --stack")
    try:
        requested = AssignedSender(
            address=address,
            origination_identity=origination_identity,
            configuration_set=configuration_set,
            max_messages_per_second=max_messages_per_second,
        )
    except ValidationError as error:
        raise click.ClickException(problems_of(error)[0].message) from error
    with open_installation(data, stack) as installation:
        try:
            assigned = installation.program.senders.assign(installation.account_sid(account_sid), requested)
        except ConversationsError as error:
            raise click.ClickException(error.message) from error
        print_object(assigned.model_dump(mode="json"))


@sender.command("list")
@click.argument("account_sid", required=False)
@existing_data_option
@stack_option
def sender_list(account_sid: str | None, data: str, stack: str | None) -> None:
    """Print all senders of an account, without their secrets.

    Prints a table on a terminal, and otherwise one line of JSON for each sender. ACCOUNT_SID defaults to the oldest
    account.
    """
    with open_installation(data, stack) as installation:
        senders = installation.program.senders.senders.iterate(installation.account_sid(account_sid))
        print_rows(each.model_dump(mode="json") for each in senders)


@sender.command("limit")
@click.argument("sender_sid")
@click.argument("max_messages_per_second", required=False)
@existing_data_option
@stack_option
def sender_limit(sender_sid: str, max_messages_per_second: str | None, data: str, stack: str | None) -> None:
    """Set how many copies Convoke sends from the address of a sender in each second.

    Without MAX_MESSAGES_PER_SECOND, the sender has no limit.
    """
    try:
        change = SenderChange(max_messages_per_second=max_messages_per_second)
    except ValidationError as error:
        raise click.ClickException(problems_of(error)[0].message) from error
    with open_installation(data, stack) as installation:
        found = _found(installation, sender_sid)
        print_object(installation.program.senders.set_limit(found, change).model_dump(mode="json"))


@sender.command("release")
@click.argument("sender_sid")
@existing_data_option
@stack_option
def sender_release(sender_sid: str, data: str, stack: str | None) -> None:
    """Delete a sender of any account, so that another account can use its address."""
    with open_installation(data, stack) as installation:
        found = _found(installation, sender_sid)
        installation.program.senders.delete(found.account_sid, found.sid)
        print_object({"sid": found.sid, "address": found.address})


def _found(installation: Installation, sender_sid: str) -> Sender:
    known = parse_sid(sender_sid, Prefix.SENDER)
    found = known and installation.program.senders.senders.fetch_by_sid(known)
    if not found:
        raise installation.missing(f"sender {sender_sid}")
    return found
