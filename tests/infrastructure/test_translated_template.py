"""The template that CloudFormation deploys has no fault that would show only on AWS.

The tests read the output of the SAM transform. Each test excludes a kind of fault, so a new resource is tested too.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from tests.support.template import template
from tests.support.translated import deployed, parameters_in, references

NOT_IN_VERSION = ("ReservedConcurrentExecutions", "RecursiveLoop", "RuntimeManagementConfig", "Tags")
"""The properties of a function that Lambda applies to the whole function, not to a version."""

MAX_DESCRIPTION_CHARACTERS = 256


def configuration(function: str) -> dict[str, Any]:
    """Return the properties that Lambda stores in each version of a function."""
    properties = deployed("AWS::Lambda::Function")[function]["Properties"]
    return {name: value for name, value in properties.items() if name not in NOT_IN_VERSION}


def versions() -> dict[str, Any]:
    """Return the properties of the version of each function. The key is the logical ID of the function."""
    return {
        version["Properties"]["FunctionName"]["Ref"]: version["Properties"]
        for version in deployed("AWS::Lambda::Version").values()
    }


def max_length(parameter: str) -> int:
    """Return the length of the longest value that a parameter allows."""
    match template()["Parameters"][parameter]:
        case {"AllowedValues": list(values)}:
            return max(len(str(value)) for value in values)
        case {"Type": "Number", "MaxValue": int(value)}:
            return len(str(value))
        case {"Type": "String", "MaxLength": int(length)}:
            return length
    raise AssertionError(f"{parameter} has no maximum length")


def test_function_with_an_alias_is_tested() -> None:
    assert "ApiFunction" in versions()


@pytest.mark.parametrize("function", sorted(versions()))
def test_version_description_has_exactly_the_parameters_of_the_configuration(function: str) -> None:
    """If a parameter were missing, a new value would not reach the alias. SAM publishes no version for a new value.

    If there were one parameter more, Lambda would publish no version for a new value, and CloudFormation would fail.
    """
    assert parameters_in(versions()[function]["Description"]) == parameters_in(configuration(function))


@pytest.mark.parametrize("function", sorted(versions()))
def test_version_description_fits_with_the_longest_values(function: str) -> None:
    text = versions()[function]["Description"]["Fn::Sub"]
    for parameter in parameters_in(versions()[function]["Description"]):
        text = text.replace(f"${{{parameter}}}", "x" * max_length(parameter))
    assert "${" not in text
    assert len(text) <= MAX_DESCRIPTION_CHARACTERS


@pytest.mark.parametrize("version", sorted(deployed("AWS::Lambda::Version")))
def test_update_keeps_the_previous_version_for_a_rollback(version: str) -> None:
    """A new parameter value replaces the version. New code removes its logical ID from the template."""
    kept = deployed("AWS::Lambda::Version")[version]
    assert (kept["UpdateReplacePolicy"], kept["DeletionPolicy"]) == ("Retain", "Retain")


def test_deletion_of_the_stack_deletes_every_function() -> None:
    """A function takes its versions with it. A retained function would keep costing money for its snapshots."""
    functions = deployed("AWS::Lambda::Function", "AWS::Lambda::Alias")
    assert [name for name, function in functions.items() if function.get("DeletionPolicy", "Delete") != "Delete"] == []


def test_roles_have_no_managed_policies() -> None:
    """The managed policies that SAM adds to a role allow their actions on all resources of the account."""
    for name, role in deployed("AWS::IAM::Role").items():
        assert role["Properties"].get("ManagedPolicyArns", []) == [], name


def test_policies_have_the_current_version() -> None:
    """Without `Version`, IAM uses the policy language of 2008."""
    documents = [queue["Properties"]["PolicyDocument"] for queue in deployed("AWS::SQS::QueuePolicy").values()]
    for role in deployed("AWS::IAM::Role").values():
        documents.append(role["Properties"]["AssumeRolePolicyDocument"])
        documents.extend(policy["PolicyDocument"] for policy in role["Properties"]["Policies"])
    assert {document.get("Version") for document in documents} == {"2012-10-17"}


def mappings() -> dict[str, dict[str, Any]]:
    return {name: each["Properties"] for name, each in deployed("AWS::Lambda::EventSourceMapping").items()}


@pytest.mark.parametrize("mapping", sorted(mappings()))
def test_mapping_has_a_concurrency_limit(mapping: str) -> None:
    """Otherwise the consumers of a queue could use all the concurrency of the account, and the API none."""
    properties = mappings()[mapping]
    if "StartingPosition" in properties:
        # Lambda invokes one function per shard of a stream at a time, multiplied by this factor.
        assert properties["ParallelizationFactor"] == 1
    else:
        (limit,) = references(properties["ScalingConfig"]["MaximumConcurrency"])
        # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
        assert template()["Parameters"][limit]["MinValue"] >= 2
        assert template()["Parameters"][limit]["MaxValue"] <= 1000


@pytest.mark.parametrize("mapping", sorted(name for name, each in mappings().items() if "StartingPosition" in each))
def test_stream_mapping_gives_up_a_record_and_keeps_its_position(mapping: str) -> None:
    properties = mappings()[mapping]
    assert properties["BisectBatchOnFunctionError"] is True
    assert properties["MaximumRetryAttempts"] > 0
    # After 24 hours, the stream drops the record without any notice.
    assert 0 < properties["MaximumRecordAgeInSeconds"] < 24 * 3600
    (queue,) = references(properties["DestinationConfig"]["OnFailure"]["Destination"])
    assert queue in deployed("AWS::SQS::Queue")


def sent_queues(role: str) -> set[str]:
    """Return the queues to which a role may send."""
    statements = (
        statement
        for policy in deployed("AWS::IAM::Role")[role]["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        if "sqs:SendMessage" in statement["Action"]
    )
    return {name for statement in statements for name in references(statement["Resource"])}


def test_function_that_sends_to_its_own_queue_allows_recursion() -> None:
    """Lambda stops a chain of 16 invocations through a queue, unless the function allows it."""
    functions, recursive = deployed("AWS::Lambda::Function"), set[str]()
    for mapping in mappings().values():
        (function,), (source,) = references(mapping["FunctionName"]), references(mapping["EventSourceArn"])
        (role,) = references(functions[function]["Properties"]["Role"])
        if source in sent_queues(role):
            recursive.add(function)
    assert recursive == {"WebhookDeliveryFunction"}
    assert {functions[function]["Properties"]["RecursiveLoop"] for function in recursive} == {"Allow"}


def test_every_function_has_its_own_log_group_with_retention() -> None:
    users: dict[str, list[str]] = defaultdict(list)
    for name, function in deployed("AWS::Lambda::Function").items():
        (group,) = references(function["Properties"]["LoggingConfig"]["LogGroup"])
        users[group].append(name)
    groups = deployed("AWS::Logs::LogGroup")
    assert set(users) <= set(groups)
    assert all(len(names) == 1 for names in users.values())
    assert all("RetentionInDays" in group["Properties"] for group in groups.values())
