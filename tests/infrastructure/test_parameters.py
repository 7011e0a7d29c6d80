"""The parameters of template.yaml turn on features and have descriptions. Some parameters need other parameters.

The alarms and the dashboard watch the right resources.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from convoke.config import BASE_URL
from tests.support.docs import DOCS
from tests.support.template import functions, holds, parameter_values, resources, template, written_template

ADOPTED = {
    "ExistingTableName": "kept",
    "ExistingTableStreamArn": "arn:aws:dynamodb:us-east-1:123456789012:table/kept/stream/1",
    "SecretPrefix": "other/auth-tokens/",
    "FirstAccountSid": "AC" + "0" * 32,
}
VPC = {"VpcSubnetIds": "subnet-1,subnet-2", "VpcSecurityGroupIds": "sg-1"}
DOMAIN = {
    "DomainName": "conversations.example.com",
    "CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/1",
}

VARIANTS = [
    {},
    ADOPTED,
    VPC,
    DOMAIN,
    {"AccessLogs": "true", "AlarmTopicArn": "arn:aws:sns:us-east-1:123456789012:alarms", "XRayTracing": "true"},
    {"PublicUrl": "https://example.com/chat", "MaxWriteUnits": "10", "WarmWriteUnits": "8000", "SnapStart": "false"},
]


def references(part: Any) -> Iterator[str]:
    """Yield the names that a part of the template references."""
    match part:
        case {"Ref": str(name)}:
            yield name
        case {"Fn::GetAtt": str(attribute)}:
            yield attribute.partition(".")[0]
        case {"Fn::Sub": [str(text), dict(local)]}:
            yield from set(re.findall(r"\$\{(\w+)", text)) - set(local)
            yield from references(local)
        case {"Fn::Sub": str(text)}:
            yield from re.findall(r"\$\{(\w+)", text)
        case dict():
            yield from (name for value in part.values() for name in references(value))
        case list():
            yield from (name for value in part for name in references(value))


@pytest.mark.parametrize("given", VARIANTS, ids=lambda given: "+".join(given) or "defaults")
def test_every_reference_has_a_target_whatever_is_given(given: dict[str, str]) -> None:
    # `added` contains the names that the template does not declare: SAM adds the alias and the schedule rules, and
    # CloudFormation defines the pseudo parameters `AWS::...`.
    schedules = {f"SweeperFunction{name}" for name in functions()["sweeper"]["Events"]}
    added = {"ApiFunctionAliaslive", "AWS"} | schedules
    decided = template(**given)
    known = {*decided["Resources"], *decided["Parameters"], *added}
    assert {name for name in references({**decided, "Conditions": {}}) if name.partition(":")[0] not in known} == set()


def accepted(given: dict[str, str]) -> bool:
    values = parameter_values(given)
    rules = written_template()["Rules"].values()
    return all(holds(assertion["Assert"], values) for rule in rules for assertion in rule["Assertions"])


@pytest.mark.parametrize("group", [ADOPTED, VPC, DOMAIN], ids=["existing table", "VPC", "domain"])
def test_parameters_of_a_group_are_given_together_or_not_at_all(group: dict[str, str]) -> None:
    for chosen in product([False, True], repeat=len(group)):
        given = {name: value for (name, value), is_given in zip(group.items(), chosen, strict=True) if is_given}
        assert accepted(given) == (len(given) in (0, len(group))), given


def test_adopted_table_replaces_the_table_and_its_first_secret() -> None:
    decided = template(**ADOPTED)
    assert {"Table", "FirstAuthToken"} & set(decided["Resources"]) == set()
    variables = functions(**ADOPTED)["api"]["Environment"]["Variables"]
    assert variables["CONVOKE_TABLE_NAME"] == {"Ref": "ExistingTableName"}
    assert variables["CONVOKE_AUTH_TOKEN_PREFIX"] == {"Ref": "SecretPrefix"}
    # The existing table already contains the first account. Therefore the first request need not create this account.
    assert variables["CONVOKE_FIRST_ACCOUNT_SID"] == ""
    stream = functions(**ADOPTED)["event_publisher"]["Events"]["Changes"]["Properties"]["Stream"]
    assert stream == {"Ref": "ExistingTableStreamArn"}
    outputs = {name: output["Value"] for name, output in decided["Outputs"].items()}
    assert outputs["AccountSid"] == {"Ref": "FirstAccountSid"}
    assert outputs["AuthTokenSecret"] == {"Fn::Sub": "${SecretPrefix}${FirstAccountSid}"}
    stack = {"Fn::Select": [0, {"Fn::Split": ["/auth-tokens/", {"Ref": "SecretPrefix"}]}]}
    assert outputs["ApiKeyMasterSecret"] == {"Fn::Join": ["/", [stack, "api-key-master"]]}
    assert variables["CONVOKE_API_KEY_MASTER_SECRET"] == outputs["ApiKeyMasterSecret"]


def test_resources_that_hold_data_are_kept_and_do_not_hinder_a_rollback() -> None:
    # A rollback of the first deployment would fail if it had to delete a table with deletion protection.
    kept = {name: each for name, each in written_template()["Resources"].items() if each["Type"] in HOLDING_DATA}
    assert set(kept) == {"Table", "FirstAuthToken", "ApiKeyMaster"}
    for resource in kept.values():
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")


HOLDING_DATA = {"AWS::DynamoDB::Table", "AWS::SecretsManager::Secret"}


def test_table_of_a_stack_with_the_longest_name_can_be_used_by_another_stack() -> None:
    """CloudFormation names a table STACK-Table-SUFFIX. The suffix has up to 13 characters."""
    (longest,) = re.findall(
        r"name of the stack must be at most (\d+) characters", (DOCS / "deploy-to-aws.md").read_text()
    )
    parameters = written_template()["Parameters"]
    assert int(longest) + len("-Table-") + 13 == parameters["ExistingTableName"]["MaxLength"]
    assert int(longest) + len("/auth-tokens/") <= parameters["SecretPrefix"]["MaxLength"]


def test_functions_that_call_webhooks_and_no_others_are_in_the_vpc() -> None:
    given = {name: each.get("VpcConfig") for name, each in functions(**VPC).items()}
    assert {name for name, config in given.items() if config} == {"api", "inbound_messages", "webhook_delivery"}
    calling = {name for name, each in functions().items() if calls_webhooks(each)}
    assert {name for name, config in given.items() if config} == calling
    assert not any("VpcConfig" in each for each in functions().values())


def calls_webhooks(function: dict[str, Any]) -> bool:
    return "CONVOKE_ALLOWED_WEBHOOK_NETWORKS" in function["Environment"]["Variables"]


def test_stage_limits_requests_and_can_log_them_without_paths() -> None:
    limits = {
        "ThrottlingRateLimit": {"Ref": "ThrottlingRateLimit"},
        "ThrottlingBurstLimit": {"Ref": "ThrottlingBurstLimit"},
    }
    (stage,) = resources("AWS::ApiGatewayV2::Stage").values()
    assert stage["DefaultRouteSettings"] == limits
    assert "AccessLogSettings" not in stage
    logging = template(AccessLogs="true")["Resources"]
    settings = logging["HttpApiStage"]["Properties"]["AccessLogSettings"]
    logged = json.loads(settings["Format"])
    assert not [value for value in logged.values() if "ath" in value or "routeKey" in value]
    assert "RetentionInDays" in logging["AccessLogGroup"]["Properties"]


def test_tracing_is_off_unless_it_is_turned_on() -> None:
    for given, mode, enabled in (({}, "PassThrough", False), ({"XRayTracing": "true"}, "Active", True)):
        assert {each["Tracing"] for each in functions(**given).values()} == {mode}
        machine = template(**given)["Resources"]["ConversationFinalizerStateMachine"]["Properties"]
        assert machine["Tracing"] == {"Enabled": enabled}
        actions = {
            action for policy in machine["Policies"] for each in policy["Statement"] for action in each["Action"]
        }
        assert ("xray:PutTraceSegments" in actions) == enabled


def test_snapstart_can_be_turned_off() -> None:
    assert functions(SnapStart="false")["api"]["SnapStart"] == {"ApplyOn": "None"}


def test_throughput_of_a_new_table_can_be_limited_and_warmed() -> None:
    table = template()["Resources"]["Table"]["Properties"]
    assert {"OnDemandThroughput", "WarmThroughput"} & set(table) == set()
    chosen = template(MaxWriteUnits="10", WarmWriteUnits="8000")["Resources"]["Table"]["Properties"]
    limits = {"MaxReadRequestUnits": {"Ref": "MaxReadUnits"}, "MaxWriteRequestUnits": {"Ref": "MaxWriteUnits"}}
    warm = {"ReadUnitsPerSecond": {"Ref": "WarmReadUnits"}, "WriteUnitsPerSecond": {"Ref": "WarmWriteUnits"}}
    assert chosen["OnDemandThroughput"] == limits
    assert [chosen["WarmThroughput"], *(each["WarmThroughput"] for each in chosen["GlobalSecondaryIndexes"])] == [
        warm
    ] * 4


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, {"Fn::GetAtt": "HttpApi.ApiEndpoint"}),
        (DOMAIN, {"Fn::Sub": "https://${DomainName}"}),
        ({**DOMAIN, "PublicUrl": "https://example.com"}, {"Ref": "PublicUrl"}),
    ],
)
def test_output_of_the_url_is_the_url_that_clients_use(given: dict[str, str], url: dict[str, str]) -> None:
    assert template(**given)["Outputs"]["ApiUrl"]["Value"] == url
    assert ("DomainNameTarget" in template(**given)["Outputs"]) == ("DomainName" in given)


@pytest.mark.parametrize(
    "url", ["https://a.example.com", "https://a.example.com/chat", "http://127.0.0.1:1/a/$default"]
)
def test_public_url_has_no_slash_at_its_end_and_no_white_space(url: str) -> None:
    pattern = written_template()["Parameters"]["PublicUrl"]["AllowedPattern"]
    for each in (pattern, BASE_URL):
        assert re.fullmatch(each, url)
        for refused in (f"{url}/", f"{url}?a=b", f"{url}#a", f"{url} b", f"{url}\n", url.partition("://")[2]):
            assert not re.fullmatch(each, refused)


def test_every_default_fits_its_own_pattern() -> None:
    for name, parameter in written_template()["Parameters"].items():
        default = str(parameter["Default"])
        assert re.fullmatch(parameter.get("AllowedPattern", ".*"), default), name
        assert default in [str(value) for value in parameter.get("AllowedValues", [default])], name


@pytest.mark.parametrize("section", ["Parameters", "Outputs"])
def test_everything_a_deployer_sees_has_a_description(section: str) -> None:
    for name, each in written_template()[section].items():
        assert each.get("Description"), name


# Alarms

TOPIC = {"AlarmTopicArn": "arn:aws:sns:us-east-1:123456789012:alarms"}


def alarms(**given: str) -> dict[str, Any]:
    found = template(**given)["Resources"]
    return {name: each["Properties"] for name, each in found.items() if each["Type"] == "AWS::CloudWatch::Alarm"}


def watched(metric: str) -> set[str]:
    """Return the logical IDs of the resources that have an alarm on this metric."""
    found: set[str] = set()
    for alarm in alarms().values():
        for each in (
            alarm,
            *(query["MetricStat"]["Metric"] for query in alarm.get("Metrics", ()) if "MetricStat" in query),
        ):
            if each.get("MetricName") == metric:
                found.update(references(each["Dimensions"]))
    return found


def test_every_alarm_notifies_the_topic() -> None:
    assert all(alarm["AlarmActions"] == [{"Ref": "AlarmTopicArn"}] for alarm in alarms(**TOPIC).values())
    assert not any("AlarmActions" in alarm for alarm in alarms().values())


def test_every_function_and_queue_has_an_alarm() -> None:
    found = {name for name, each in template()["Resources"].items() if each["Type"] == "AWS::Serverless::Function"}
    assert watched("Errors") == watched("Throttles") == found
    queues = resources("AWS::SQS::Queue")
    sources = {name for name, queue in queues.items() if "RedrivePolicy" in queue}
    assert watched("ApproximateAgeOfOldestMessage") == sources
    assert sources == {"ParticipantQueue", "DeliveryQueue", "OutboundQueue", "CopyQueue"}
    assert watched("IteratorAge") == {"EventPublisherFunction"}
    assert watched("ExecutionsFailed") == watched("ExecutionsTimedOut") == {"ConversationFinalizerStateMachine"}


def test_dead_receiver_of_a_tenant_raises_no_alarm() -> None:
    queues = resources("AWS::SQS::Queue")
    # `tenants` is the queue of deliveries that a receiver did not accept. Only Convoke sends messages to this queue.
    variables = functions()["webhook_delivery"]["Environment"]["Variables"]
    tenants = variables["CONVOKE_DELIVERY_DEAD_LETTER_QUEUE_URL"]["Ref"]
    assert watched("ApproximateNumberOfMessagesVisible") == {
        name for name, queue in queues.items() if "RedrivePolicy" not in queue and name != tenants
    }
    assert not any(tenants in references(queue) for queue in queues.values())
    assert not any(tenants in references(rule) for rule in resources("AWS::Events::Rule").values())


def test_sweeper_that_does_not_run_raises_an_alarm() -> None:
    alarm = alarms()["SweeperAlarm"]
    assert alarm["TreatMissingData"] == "breaching"
    assert watched("Invocations") == {"SweeperFunction"}


@pytest.mark.parametrize(("alarm", "rule"), [("RuleFailureAlarm", "WebhookRule"), ("CopyRuleFailureAlarm", "CopyRule")])
def test_alarm_on_failed_invocations_names_the_rule(alarm: str, rule: str) -> None:
    watched_rule = resources("AWS::Events::Rule")[rule]
    dimensions = {each["Name"]: each["Value"] for each in alarms()[alarm]["Dimensions"]}
    assert dimensions == {"EventBusName": watched_rule["EventBusName"], "RuleName": watched_rule["Name"]}


def test_dashboard_shows_the_metrics_of_existing_resources() -> None:
    body, local = template()["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    filled = re.sub(r"\$\{[^}]+\}", "x", body)
    assert len(json.loads(filled)["widgets"]) == 10
    attributes = {name.partition(".")[0] for name in re.findall(r"\$\{([^}]+)\}", body)}
    assert attributes - {"AWS::Region", "AWS::StackName", *local} <= set(template()["Resources"])
