"""Three accounts send any sequence of requests, and no response contains data of another account.

See docs/how-it-works.md#promises.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.support.examples import CHAT_AND_SMS, GROUP_MMS, chat
from tests.support.instances import ORIGIN, Answer, EmbeddedInstance, call, held_instance

SID = re.compile(r"[A-Z]{2}[0-9a-f]{32}")

NAME = "the same name"

WHO = st.integers(0, 2)

PARTICIPANTS = st.sampled_from([CHAT_AND_SMS, GROUP_MMS, chat(3), []])


@dataclass
class Tenant:
    sid: str
    credentials: tuple[str, str]
    marker: str
    """A word that only this tenant writes into resources."""
    known: set[str] = field(default_factory=set)
    """The SIDs that this tenant has received in responses."""
    pages: list[str] = field(default_factory=list)
    """The URLs of next pages that this tenant has received in responses."""


class Tenants(RuleBasedStateMachine):
    """Three accounts of one instance. All accounts use the same names and addresses.

    Each account also sends SIDs and page tokens of the other accounts.
    """

    def __init__(self) -> None:
        super().__init__()
        self._held = held_instance()
        self.instance: EmbeddedInstance = self._held.__enter__()
        self.tenants = [self._made("marker-a"), self._made("marker-b"), self._made("marker-c", with_key=True)]
        for who in range(3):
            self.create_service(who=who)
            self.list_services(who=who, size=1)

    def _made(self, marker: str, *, with_key: bool = False) -> Tenant:
        accounts = self.instance.accounts
        account = accounts.create()
        if with_key:
            key, secret = accounts.api_keys.create(account.sid)
            return Tenant(account.sid, (key.sid, secret), marker)
        return Tenant(account.sid, (account.sid, accounts.token(account.sid)), marker)

    def teardown(self) -> None:
        self._held.__exit__(None, None, None)

    def ask(self, who: int, method: str, path: str, data: dict[str, Any] | None = None) -> Answer:
        asking = self.tenants[who]
        answered = call(self.instance.api, method, ORIGIN + path, auth=asking.credentials, data=data)
        assert answered.status < 500
        in_path = set(SID.findall(path))  # An error message can repeat the SIDs in the path.
        for other in self.tenants:
            if other is not asking:
                assert other.marker not in answered.text
                received = set(SID.findall(answered.text)) - in_path
                assert not received & ({other.sid} | (other.known - asking.known))
        if answered.status < 300 and answered.text:
            asking.known |= set(SID.findall(answered.text)) - in_path
            if (meta := answered.body.get("meta")) and meta["next_page_url"]:
                asking.pages.append(meta["next_page_url"].removeprefix(ORIGIN))
        return answered

    @rule(who=WHO, participants=PARTICIPANTS, named=st.booleans())
    def create(self, who: int, participants: list[str], *, named: bool) -> None:
        marked = {"FriendlyName": self.tenants[who].marker, "Participant": participants}
        self.ask(who, "POST", "/v1/ConversationWithParticipants", marked | ({"UniqueName": NAME} if named else {}))

    @rule()
    def work(self) -> None:
        self.instance.work()

    @rule(who=WHO)
    def create_service(self, who: int) -> None:
        self.ask(who, "POST", "/v1/Services", {"FriendlyName": self.tenants[who].marker})

    @rule(who=WHO)
    def configure(self, who: int) -> None:
        url = f"https://{self.tenants[who].marker}.example.com/"
        self.ask(who, "POST", "/v1/Configuration/Webhooks", {"PostWebhookUrl": url})
        self.ask(who, "GET", "/v1/Configuration/Webhooks")

    @rule(who=WHO)
    def own_an_address(self, who: int) -> None:
        """Set the list of owned addresses, and then clear the list.

        If the list were not cleared, Convoke would refuse later requests with other proxy or projected addresses.
        """
        owned = {"OwnedAddresses": f"messenger:{self.tenants[who].marker}"}
        self.ask(who, "POST", "/convoke/v1/Configuration", owned)
        self.ask(who, "GET", "/convoke/v1/Configuration")
        self.ask(who, "POST", "/convoke/v1/Configuration", {"OwnedAddresses": ""})

    @rule(who=WHO)
    def fetch_by_name(self, who: int) -> None:
        self.ask(who, "GET", f"/v1/Conversations/{NAME}")

    @rule(who=WHO)
    def send(self, who: int) -> None:
        self.ask(who, "POST", f"/v1/Conversations/{NAME}/Messages", {"Body": self.tenants[who].marker})
        self.ask(who, "GET", f"/v1/Conversations/{NAME}/Messages?PageSize=1")

    @rule(who=WHO)
    def add_a_webhook(self, who: int) -> None:
        path, url = f"/v1/Conversations/{NAME}/Webhooks", f"https://{self.tenants[who].marker}.example.com/"
        filters = ["onMessageAdded"]
        self.ask(who, "POST", path, {"Target": "webhook", "Configuration.Url": url, "Configuration.Filters": filters})
        self.ask(who, "GET", f"{path}?PageSize=1")

    @rule(who=WHO, whose=WHO, data=st.data())
    def use_a_sid(self, who: int, whose: int, data: st.DataObject) -> None:
        """Send a SID that the tenant `whose` knows, in the paths of many resources. The SID can be of any kind."""
        known = sorted(self.tenants[whose].known)
        if not known:
            return
        sid = data.draw(st.sampled_from(known))
        for path in (
            f"/v1/Conversations/{sid}",
            f"/v1/Conversations/{sid}/Participants",
            f"/v1/Conversations/{NAME}/Participants/{sid}",
            f"/v1/Services/{sid}",
            f"/v1/Services/{sid}/Conversations/{NAME}",
            f"/convoke/v1/Conversations/{sid}/Provisioning",
            f"/convoke/v1/Services/{sid}/Conversations/{NAME}/Provisioning",
            f"/v1/Conversations/{sid}/Messages",
            f"/v1/Conversations/{NAME}/Messages/{sid}",
            f"/v1/Conversations/{NAME}/Messages/{sid}/Receipts",
            f"/v1/Conversations/{sid}/Webhooks",
            f"/v1/Conversations/{NAME}/Webhooks/WH{sid[2:]}",
            f"/v1/Services/{sid}/Configuration",
            f"/v1/Services/{sid}/Configuration/Webhooks",
            f"/v1/Services/{sid}/Conversations",
            f"/v1/Services/{sid}/ParticipantConversations?Identity=alice",
            f"/v1/Alerts/{sid}",
            f"/convoke/v1/Events/{sid}-0",
            f"/convoke/v1/Events/{sid}-0/Attempts",
        ):
            answered = self.ask(who, "GET", path)
            foreign = sid not in self.tenants[who].known
            assert answered.status in ((404,) if foreign else (200, 404))

    @rule(who=WHO, size=st.sampled_from([1, 50]))
    def list_services(self, who: int, size: int) -> None:
        self.ask(who, "GET", f"/v1/Services?PageSize={size}")

    @rule(who=WHO, query=st.sampled_from(["PageSize=1", "State=active&PageSize=1", "StartDate=2020-01-01"]))
    def list_conversations(self, who: int, query: str) -> None:
        self.ask(who, "GET", f"/v1/Conversations?{query}")

    @rule(who=WHO, query=st.sampled_from(["Identity=alice", "Identity=member 0", "Address=%2B15558675310"]))
    def list_memberships(self, who: int, query: str) -> None:
        self.ask(who, "GET", f"/v1/ParticipantConversations?{query}&PageSize=1")

    @rule(who=WHO, path=st.sampled_from(["/convoke/v1/Events?PageSize=1", "/v1/Alerts?PageSize=1"]))
    def list_events_and_alerts(self, who: int, path: str) -> None:
        self.ask(who, "GET", path)

    @rule(who=WHO, whose=WHO, data=st.data())
    def follow_a_page(self, who: int, whose: int, data: st.DataObject) -> None:
        if not self.tenants[whose].pages:
            return
        page = data.draw(st.sampled_from(self.tenants[whose].pages))
        answered = self.ask(who, "GET", page)
        if page not in self.tenants[who].pages:
            assert answered.status == 400, urlsplit(page).path


TestTenants = Tenants.TestCase
TestTenants.settings = settings(
    deadline=None, max_examples=40, stateful_step_count=30, suppress_health_check=[HealthCheck.too_slow]
)
