"""`/openapi.json` describes every route except test controls and routes for carriers. Operations behave as described.

In the behaviour tests, `tests/support/openapi_checks.py` checks most responses against the document.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate
from pydantic.alias_generators import to_snake

from convoke.api.form import FORM, MULTIPART
from convoke.api.routing import RoutingTree
from tests.support.bindings import store_binding
from tests.support.examples import CHAT_AND_SMS
from tests.support.instances import ORIGIN, Answer, EmbeddedInstance, Instance, call, held_instance
from tests.support.media import media_sid
from tests.support.openapi_checks import Operation, Schema, operations, resolved

EXAMPLES: dict[str, str | list[str]] = {
    "AddedToConversation.Enabled": "true",
    "AddedToConversation.Sound": "ring",
    "AddedToConversation.Template": "Welcome to ${CONVERSATION}",
    "ApiKey": "AIzaSy-0123",
    "AddressCountry": "US",
    "AutoCreation.Enabled": "true",
    "AutoCreation.StudioFlowSid": "FW" + "0" * 32,
    "AutoCreation.StudioRetryCount": "3",
    "AutoCreation.Type": "webhook",
    "AutoCreation.WebhookFilters": ["onMessageAdded"],
    "AutoCreation.WebhookMethod": "GET",
    "AutoCreation.WebhookUrl": "https://hooks.example.com/",
    "Address": "+15017122662",
    "Attributes": '{"a":1}',
    "Author": "alice",
    "Bindings.Email.Address": "visit@example.com",
    "Bindings.Email.Name": "Visit",
    "Body": "Hello",
    "Certificate": "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----",
    "Configuration.Filters": ["onMessageAdded"],
    "Configuration.FlowSid": "FW" + "0" * 32,
    "Configuration.Method": "GET",
    "Configuration.ReplayAfter": "7",
    "Configuration.Triggers": ["help", "stop"],
    "Configuration.Url": "https://hooks.example.com/",
    "ErrorLogUrl": "https://hooks.example.com/errors",
    "ContentSid": "HX" + "0" * 32,
    "ContentVariables": '{"1": "Alice"}',
    "DefaultClosedTimer": "PT10M",
    "DefaultInactiveTimer": "PT1M",
    "DefaultMessagingServiceSid": "MG" + "0" * 32,
    "DateCreated": "2026-01-02T03:04:05Z",
    "DateUpdated": "2026-01-02T03:04:05.678Z",
    "Filters": ["onConversationAdded", "onParticipantAdded"],
    "FriendlyName": "Visit",
    "MediaSid": "ME" + "0" * 32,
    "MessagingServiceSid": "MG" + "0" * 32,
    "Identity": "bob",
    "LastReadMessageIndex": "7",
    "LogEnabled": "true",
    "LastReadTimestamp": "2026-01-02T03:04:05Z",
    "MessagingBinding.Address": "+15558675311",
    "MessagingBinding.Level": "to",
    "MessagingBinding.Name": "Bob",
    "MessagingBinding.ProjectedAddress": "+15017122662",
    "MessagingBinding.ProxyAddress": "+15017122662",
    "MessagingBinding.Type": "sms",
    "Method": "GET",
    "NewMessage.BadgeCountEnabled": "true",
    "NewMessage.Enabled": "true",
    "NewMessage.Sound": "ring",
    "NewMessage.Template": "${PARTICIPANT}: ${MESSAGE}",
    "NewMessage.WithMedia.Enabled": "true",
    "NewMessage.WithMedia.Template": "${MEDIA_COUNT} files",
    "NotificationLevel": "muted",
    "OwnedAddresses": ["+15017122661", "whatsapp:+15017122661"],
    "Participant": [
        '{"identity": "alice"}',
        '{"messaging_binding": {"address": "+15558675312", "proxy_address": "+15017122661"}}',
    ],
    "Permission": ["sendMessage", "leaveConversation"],
    "PostWebhookUrl": "https://hooks.example.com/",
    "PreWebhookUrl": "https://hooks.example.com/pre",
    "PrivateKey": "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----",
    "RemovedFromConversation.Enabled": "true",
    "RemovedFromConversation.Sound": "ring",
    "RemovedFromConversation.Template": "Goodbye from ${CONVERSATION}",
    "RoleSid": "RL" + "0" * 32,
    "ReachabilityEnabled": "true",
    "Signature": "x",
    "Provider": "twilio",
    "MaxMessagesPerSecond": "10",
    "Twilio.AccountSid": "AC" + "0" * 32,
    "Twilio.AuthToken": "token",
    "Sandbox": "true",
    "Secret": "server-key",
    "State": "inactive",
    "Subject": "Visit",
    "Target": "webhook",
    "Type": "conversation",
    "Timers.Closed": "PT10M",
    "Timers.Inactive": "PT1M",
    "UniqueName": "free",
    "Url": "https://hooks.example.com/x",
}
"""Maps each form parameter to a valid value, except the parameters in SERVICE_SIDS and ROLE_SIDS.

PopulatedInstance adds these parameters and replaces the value of `RoleSid`, because the SIDs differ between instances.
"""

OWN_EXAMPLES: dict[str, dict[str, str]] = {
    "createAddressConfiguration": {"Type": "sms"},
    "createCredential": {"Type": "apn"},
    "updateCredential": {"Type": "gcm"},
}
"""Maps an operation id to values that replace the values of EXAMPLES for this operation."""

SERVICE_SIDS = ("AutoCreation.ConversationServiceSid", "DefaultChatServiceSid")

ROLE_SIDS = (
    "DefaultConversationCreatorRoleSid",
    "DefaultConversationRoleSid",
    "DefaultChatServiceRoleSid",
)
"""The form parameters that set a default role. They need the SID of an existing role.

The form parameters in SERVICE_SIDS need the SID of an existing service.
"""

QUERIES = {"ParticipantConversations": "?Identity=alice"}
"""Maps the last segment of a path to the query string that the path requires."""

JSON_BODIES = {"fetchServiceMediaSet": {"command": "get", "list": [{"media_sid": "ME" + "0" * 32}]}}
"""Maps each operation that needs a JSON body to a valid body. The key is the operation id."""

OF_AWS = {"fetchServiceMediaContent": {302}}
"""Maps an operation id to the success statuses that only the AWS engine returns."""

ADDRESS = {"Type": "sms", "Address": "+15017122663"}

SENDER = {"Provider": "simulated", "Address": "+15017122669"}
CREDENTIAL = {"Type": "gcm", "ApiKey": "AIzaSy-0123"}
ROLE = {"FriendlyName": "Visitor", "Type": "conversation", "Permission": ["sendMessage"]}

STUDIO = {"Target": "studio", "Configuration.FlowSid": "FW" + "0" * 32}

FITTING = {
    "createScopedWebhook": ("Target", "Configuration.Url", "Configuration.Filters"),
    "createCredential": ("Type", "FriendlyName", "Certificate", "PrivateKey", "Sandbox"),
    "createMessage": ("Author", "Body", "Attributes", "DateCreated", "DateUpdated", "Subject"),
    "updateRole": ("Permission",),
    "createParticipant": ("Identity", "Attributes", "DateCreated", "DateUpdated"),
    "updateParticipant": ("Attributes", "LastReadMessageIndex", "LastReadTimestamp"),
}
"""Maps an operation to the parameters of a full request: parameters that one request can have together.

The key is the operation id without the text `Service`, so the operation with a service SID in its path has the same
key. For an operation that is not in the mapping, a full request has every parameter.
"""

TEXT = st.text(st.characters(codec="utf-8"))

EVERY_OPERATION = pytest.mark.parametrize("operation", operations().values(), ids=lambda operation: operation.id)


class Examples(dict[str, Any]):
    """Maps each parameter name to an example value.

    If no example exists, the error message says where to add the example.
    """

    def __missing__(self, name: str) -> Any:
        raise LookupError(
            f"tests/api/test_openapi.py has no example for {name!r}: add it to EXAMPLES or PopulatedInstance.values"
        )


class PopulatedInstance:
    """An instance that has a resource for every path in the document."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        configured = {"PostWebhookUrl": "https://hooks.example.com/", "Filters": "onConversationStateUpdated"}
        instance.call("POST", "/v1/Configuration/Webhooks", configured)
        instance.receivers.statuses = [404]
        conversation = instance.call("POST", "/v1/ConversationWithParticipants", {"Participant": CHAT_AND_SMS}).body
        instance.work()
        path = f"/v1/Conversations/{conversation['sid']}"
        message = instance.call("POST", f"{path}/Messages", {"Body": "Hello"}).body["sid"]
        configuration = instance.call("GET", f"/v1/Services/{conversation['chat_service_sid']}/Configuration").body
        roles = {name: configuration[to_snake(name)] for name in ROLE_SIDS}
        services = dict.fromkeys(SERVICE_SIDS, conversation["chat_service_sid"])
        self.examples = Examples(EXAMPLES | roles | services | {"RoleSid": roles["DefaultChatServiceRoleSid"]})
        self.spare_service = instance.call("POST", "/v1/Services", {"FriendlyName": "Spare"}).body["sid"]
        self.values = {
            "Services": conversation["chat_service_sid"],
            "Conversations": conversation["sid"],
            "Participants": instance.call("GET", f"{path}/Participants").body["participants"][0]["sid"],
            "Messages": message,
            "Media": media_sid(instance),
            "Receipts": instance.call("GET", f"{path}/Messages/{message}/Receipts").body["delivery_receipts"][0]["sid"],
            "Webhooks": instance.call("POST", f"{path}/Webhooks", STUDIO).body["sid"],
            "Users": "alice",
            "Roles": instance.call("POST", "/v1/Roles", ROLE).body["sid"],
            "Events": instance.call("GET", "/convoke/v1/Events").body["events"][0]["id"],
            "Alerts": instance.call("GET", "/v1/Alerts").body["alerts"][0]["sid"],
            "Addresses": instance.call("POST", "/v1/Configuration/Addresses", ADDRESS).body["sid"],
            "Bindings": store_binding(instance, conversation["chat_service_sid"]).sid,
            "Credentials": instance.call("POST", "/v1/Credentials", CREDENTIAL).body["sid"],
            "Phones": "+15558675310",
            "Senders": instance.call("POST", "/convoke/v1/Senders", SENDER).body["sid"],
            "Accounts": instance.account.sid,
            "Keys": instance.call("POST", f"/2010-04-01/Accounts/{instance.account.sid}/Keys.json").body["sid"],
        }
        alert = instance.call("GET", f"/convoke/v1/Alerts/{self.values['Alerts']}").body
        self.values |= {"Events": alert["event_id"], "Attempts": f"{alert['target']}.1"}

    def ask(
        self, operation: Operation, form: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        values = Examples(self.values | ({"Services": self.spare_service} if operation.id == "deleteService" else {}))
        path = re.sub(r"(\w+)/{\w+}", lambda found: f"{found[1]}/{values[found[1]]}", operation.path)
        given: dict[str, Any] | str | None = form
        if operation.id in JSON_BODIES:
            given = json.dumps(JSON_BODIES[operation.id])
        return self.instance.call(operation.method, path + QUERIES.get(path.rpartition("/")[2], ""), given, headers)


@pytest.fixture(scope="module")
def shared() -> Iterator[PopulatedInstance]:
    """Run one instance for several tests of this module. These tests change no data."""
    with held_instance() as instance:
        yield PopulatedInstance(instance)


def test_document_is_public_and_valid(instance: Instance) -> None:
    answered = call(instance.api, "GET", f"{ORIGIN}/openapi.json")
    assert (answered.status, answered.headers["Content-Type"]) == (200, "application/json")
    validate(answered.body)


def test_document_says_which_credentials_requests_need(instance: Instance) -> None:
    described = call(instance.api, "GET", f"{ORIGIN}/openapi.json").body["info"]["description"]
    assert all(word in described for word in ("Twilio Conversations v1", "Auth Token", "API key"))


def test_document_supports_if_none_match(instance: Instance) -> None:
    tag = call(instance.api, "GET", f"{ORIGIN}/openapi.json").headers["ETag"]
    known = call(instance.api, "GET", f"{ORIGIN}/openapi.json", headers={"If-None-Match": f'W/{tag}, "other"'})
    assert (known.status, known.text, known.headers["ETag"]) == (304, "", tag)
    assert call(instance.api, "GET", f"{ORIGIN}/openapi.json", headers={"If-None-Match": '"other"'}).status == 200


def test_document_names_the_server_as_the_client_reaches_it(instance: Instance) -> None:
    own, other = (call(instance.api, "GET", f"{url}/openapi.json") for url in (ORIGIN, "https://api.example.com:8443"))
    assert own.body["servers"] == [{"url": ORIGIN}]
    assert other.body == own.body | {"servers": [{"url": "https://api.example.com:8443"}]}
    tag = {"If-None-Match": own.headers["ETag"]}
    assert call(instance.api, "GET", "https://api.example.com:8443/openapi.json", headers=tag).status == 200


def test_form_is_described_once_for_both_media_types() -> None:
    described = [operation.description["requestBody"] for operation in operations().values() if operation.form]
    schemas = [[content["schema"] for content in body["content"].values()] for body in described]
    assert {tuple(body["content"]) for body in described} == {(FORM, MULTIPART)}
    assert all(url_encoded == multipart and set(url_encoded) == {"$ref"} for url_encoded, multipart in schemas)


def test_similar_paths_require_credentials(instance: Instance) -> None:
    for path in ("/openapi.json/", "/openapi", "/OPENAPI.JSON", "/v1/openapi.json", "/convoke/v1/Configuration"):
        assert call(instance.api, "GET", ORIGIN + path).status == 401


def routes_of(node: RoutingTree[Any], *segments: str) -> Iterator[tuple[str, str]]:
    """Yield the method and the path of every route at or below `node`, a node of the dispatcher's tree.

    `segments` leads from the root to `node`. Each segment is a literal or the suffix of a path parameter. A suffix is
    the text after the parameter. The suffix is empty or, for example, `.json`.
    """
    for method, (_, names) in node.methods.items():
        values = iter(names)
        yield (
            method,
            "".join(f"/{f'<{next(values)}>' if segment[:1] in ('', '.') else ''}{segment}" for segment in segments),
        )
    for segment, following in node.literals.items():
        yield from routes_of(following, *segments, segment)
    if node.value:
        yield from routes_of(node.value, *segments, node.value.suffix)


def test_every_route_is_described_and_no_other(embedded: EmbeddedInstance) -> None:
    controls = {f"/convoke/v1/{name}" for name in ("Clock", "Reset", "Accounts", "Settle", "Failures")}
    # Carriers determine the parameters of these routes. Therefore the document does not describe these routes.
    carriers = {f"/convoke/v1/{name}/Twilio/<sender_sid>" for name in ("Inbound", "Statuses")}
    # The document does not describe the test controls. They answer 404 unless an option enables them.
    left_out = controls | carriers
    served = {route for route in routes_of(embedded.engine.api._dispatcher._root) if route[1] not in left_out}
    document = call(embedded.api, "GET", f"{ORIGIN}/openapi.json").body
    methods = ((method.upper(), path) for path, item in document["paths"].items() for method in item)
    described = {(method, re.sub(r"{(\w+)}", r"<\1>", path)) for method, path in methods}
    assert described == served
    # Every engine serves all operations in `operations`. The embedded engine serves more operations.
    assert {(each.method, re.sub(r"{(\w+)}", r"<\1>", each.path)) for each in operations().values()} < served


@EVERY_OPERATION
def test_operation_returns_every_described_status(embedded: EmbeddedInstance, operation: Operation) -> None:
    """Send a request with only the required parameters, and a full request (see FITTING).

    If the first response has an ETag, also send a request with this ETag.
    """
    populated = PopulatedInstance(embedded)
    examples = Examples(populated.examples | OWN_EXAMPLES.get(operation.id, {}))
    full = {name: examples[name] for name in FITTING.get(operation.id.replace("Service", ""), operation.form)}
    first = populated.ask(operation, {name: full[name] for name in operation.required})
    answers = [first, populated.ask(operation, full)]
    if tag := first.headers.get("ETag"):
        answers.append(populated.ask(operation, headers={"If-None-Match": tag}))
    returned = {answered.status for answered in answers if answered.status < 400}
    assert returned == operation.statuses - OF_AWS.get(operation.id, set())


def urls_in(body: Any) -> Iterator[str]:
    """Yield every URL of the API in a response body."""
    if isinstance(body, str) and body.startswith(f"{ORIGIN}/"):
        yield body
    elif isinstance(body, dict | list):
        for value in body.values() if isinstance(body, dict) else body:
            yield from urls_in(value)


@pytest.mark.parametrize(
    "operation", [each for each in operations().values() if each.method == "GET"], ids=lambda operation: operation.id
)
def test_every_link_in_a_response_leads_to_an_operation(shared: PopulatedInstance, operation: Operation) -> None:
    answered = shared.ask(operation)
    assert answered.status == 200
    urls = urls_in(answered.body if answered.text else None)
    followed = {url: shared.instance.call("GET", url.removeprefix(ORIGIN)) for url in urls}
    dead = {url for url, found in followed.items() if found.status == 404}
    assert dead == set()


@EVERY_OPERATION
def test_operation_on_unknown_resource_is_not_found(shared: PopulatedInstance, operation: Operation) -> None:
    if "{" in operation.path:
        path = re.sub(r"{\w+}", quote("missing 😀", safe=""), operation.path)
        form = {name: EXAMPLES[name] for name in FITTING.get(operation.id.replace("Service", ""), ())}
        refused = shared.instance.call(operation.method, path, form)
        assert (refused.status, refused.body["code"]) == (404, 20404)


def wrong_values(schema: Schema, example: str | list[str]) -> st.SearchStrategy[Any]:
    """Generate values that the schema of the form parameter forbids. `example` is a value that the schema allows.

    If the function knows no forbidden value, generate nothing.
    """
    if schema["type"] != "array":
        return wrong_texts(schema)
    of_items = wrong_texts(resolved(schema["items"])).map(lambda text: [*example, text])
    if "maxItems" not in schema:
        return of_items
    return of_items | st.just([example[0]] * (schema["maxItems"] + 1))


def wrong_texts(schema: Schema) -> st.SearchStrategy[str]:
    """Generate texts that the schema forbids. Enumerations ignore case."""
    wrong: list[st.SearchStrategy[str]] = []
    if "maxLength" in schema:
        wrong.append(st.characters(codec="utf-8").map(lambda character: character * (schema["maxLength"] + 1)))
    if "minLength" in schema:
        wrong.append(st.just(""))
    if "enum" in schema:
        words = {word.lower() for word in schema["enum"]}
        wrong.append(TEXT.filter(lambda text: text.lower() not in words))
    if "pattern" in schema:
        wrong.append(TEXT.filter(lambda text: not re.search(schema["pattern"], text)))
    if "format" in schema or "contentMediaType" in schema:
        wrong.append(st.just("tomorrow"))
    if "contentSchema" in schema:
        wrong.append(wrong_members(resolved(schema["contentSchema"])))
    return st.one_of(wrong)


def wrong_members(schema: Schema) -> st.SearchStrategy[str]:
    """Generate JSON objects for the parameter `Participant`. Each object has exactly one forbidden value."""
    binding = {"address": "+15558675310", "proxy_address": "+15017122661"}
    bindings = with_one_wrong(binding, resolved(schema["properties"]["messaging_binding"]))
    members = with_one_wrong({"identity": "alice"}, schema)
    return (members | bindings.map(lambda wrong: {"messaging_binding": wrong})).map(json.dumps)


def with_one_wrong(right: dict[str, str], schema: Schema) -> st.SearchStrategy[dict[str, str]]:
    def with_wrong(key: str) -> st.SearchStrategy[dict[str, str]]:
        return wrong_texts(resolved(schema["properties"][key])).map(lambda text: right | {key: text})

    return st.one_of([with_wrong(key) for key in schema["properties"]])


BOUNDED = [
    pytest.param(operation, name, id=f"{operation.id}-{name}")
    for operation in operations().values()
    for name, schema in operation.form.items()
    if not wrong_values(schema, EXAMPLES.get(name, "")).is_empty
]
"""Every pair of an operation and a form parameter, if `wrong_values` generates a value for the parameter."""


@pytest.mark.parametrize(("operation", "name"), BOUNDED)
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_value_that_violates_schema_is_refused(
    shared: PopulatedInstance, operation: Operation, name: str, data: st.DataObject
) -> None:
    values = wrong_values(operation.form[name], EXAMPLES.get(name, ""))
    examples = EXAMPLES | OWN_EXAMPLES.get(operation.id, {})
    form = {required: examples[required] for required in operation.required} | {name: data.draw(values)}
    refused = shared.ask(operation, form)
    assert refused.status == 400
    assert refused.body["details"]["parameter"].startswith((name, "body"))
