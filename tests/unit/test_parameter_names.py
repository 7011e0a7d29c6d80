"""The API derives parameter names from the field paths of domain models (api/parameter_names.py)."""

from __future__ import annotations

import json

import pytest

from convoke.api.errors import render
from convoke.api.parameter_names import parameter_name, scoped_webhook_name
from convoke.domain.errors import FieldPath, InvalidParameterError, MessageEmptyError, refusal


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (("body",), "Body"),
        (("default_chat_service_sid",), "DefaultChatServiceSid"),
        (("messaging_binding",), "MessagingBinding"),
        (("messaging_binding", "proxy_address"), "MessagingBinding.ProxyAddress"),
        (("configuration", "flow_sid"), "Configuration.FlowSid"),
        (("timers", "inactive"), "Timers.Inactive"),
        (("filters", 2), "Filters[2]"),
        (("participants",), "Participant"),
        (("participants", 3), "Participant[3]"),
        (("participants", 3, "messaging_binding", "proxy_address"), "Participant[3].messaging_binding.proxy_address"),
        (("pre_webhook", "friendly_name"), "PreWebhook.friendly_name"),
    ],
)
def test_parameter_name_of_a_field_path(path: FieldPath, name: str) -> None:
    assert parameter_name(path) == name


@pytest.mark.parametrize(
    ("field", "name"),
    [("target", "Target"), ("url", "Configuration.Url"), ("replay_after", "Configuration.ReplayAfter")],
)
def test_form_parameter_of_a_scoped_webhook_field(field: str, name: str) -> None:
    assert scoped_webhook_name(field) == name


def test_rendered_error_names_the_parameters_of_all_its_problems() -> None:
    problems = [
        InvalidParameterError(field="reachability_enabled", wanted="true or false"),
        MessageEmptyError(field="body"),
        InvalidParameterError(parameter="PageToken"),
    ]
    body = json.loads(render(refusal(problems)).body or "")
    assert "ReachabilityEnabled" in body["message"]
    assert body["details"]["parameter"] == "ReachabilityEnabled"
    assert [problem["parameter"] for problem in body["details"]["problems"]] == ["Body", "PageToken"]
