"""The output of the SAM transform has none of the tested faults, which would appear only on AWS.

Most tests search all resources of a type for one kind of fault. Therefore new resources are tested too.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from convoke.storage import keys
from tests.support.template import template, written_template
from tests.support.translated import deployed, names_in, parameters_in, references, translated

NOT_IN_VERSION = ("ReservedConcurrentExecutions", "RecursiveLoop", "RuntimeManagementConfig", "Tags")
"""Properties of a function that Lambda does not store in the function's versions."""

EVERYTHING = {
    "AlarmTopicArn": "arn:aws:sns:us-east-1:123456789012:topic",
    "XRayTracing": "true",
    "VpcSubnetIds": "subnet-1",
    "VpcSecurityGroupIds": "sg-1",
    "ApiReservedConcurrency": "100",
    "SmsSenderArns": "arn:aws:sms-voice:us-east-1:123456789012:phone-number/phone-1",
}
"""Parameter values that turn on the features that need additional permissions."""

WITHOUT_RESOURCE = {
    *("logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery"),
    *("logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups"),
    *("xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets"),
    *("ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DeleteNetworkInterface"),
    *("ec2:DescribeSubnets", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"),
}
"""Actions that AWS allows only for the resource `*`: log delivery, tracing and access to a VPC.

See https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html,
https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html and
https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html.
"""

MAX_DESCRIPTION_CHARACTERS = 256
MAX_LAYER_VERSION_CHARACTERS = 6


LAYER = written_template()["Resources"]["ConvokeLayer"]["Properties"]


def configuration(function: str) -> dict[str, Any]:
    """Return the function's properties that Lambda stores in each version. `Fn::If` conditions are unresolved."""
    properties = translated()["Resources"][function]["Properties"]
    return {name: value for name, value in properties.items() if name not in NOT_IN_VERSION}


def descriptions() -> dict[str, Any]:
    """Return a mapping from the logical ID of each function that has a version to the version's description."""
    return {
        version["Properties"]["FunctionName"]["Ref"]: version["Properties"]["Description"]
        for version in deployed("AWS::Lambda::Version").values()
    }


def max_length(parameter: str) -> int:
    """Return the length of the longest allowed value of a parameter."""
    match template()["Parameters"][parameter]:
        case {"AllowedValues": list(values)}:
            return max(len(str(value)) for value in values)
        case {"Type": "Number", "MaxValue": int(value)}:
            return len(str(value))
        case {"Type": "String", "MaxLength": int(length)}:
            return length
    raise AssertionError(f"{parameter} has no maximum length")


def test_function_with_an_alias_is_tested() -> None:
    assert "ApiFunction" in descriptions()


@pytest.mark.parametrize("function", sorted(descriptions()))
def test_new_value_of_a_parameter_of_the_configuration_changes_the_version_description(function: str) -> None:
    """If only a parameter value changes, SAM publishes no new version, and the alias keeps the old value.

    Therefore the description of the version or of its layer must contain the parameter value. See
    https://github.com/aws/serverless-application-model/issues/3820.
    """
    described = parameters_in([descriptions()[function], LAYER["Description"]])
    assert parameters_in(configuration(function)) <= described


@pytest.mark.parametrize("function", sorted(descriptions()))
def test_new_version_description_comes_with_a_new_configuration(function: str) -> None:
    """If only the description changed, Lambda would publish no new version, and the stack's update would fail."""
    assert parameters_in(descriptions()[function]) <= parameters_in(configuration(function))
    # A new description of the layer creates a new layer version, which is part of the function's configuration.
    (layer,) = deployed("AWS::Lambda::LayerVersion")
    assert layer in references(descriptions()[function])
    assert configuration(function)["Layers"] == [{"Ref": layer}]


@pytest.mark.parametrize("function", sorted(descriptions()))
def test_descriptions_fit_with_the_longest_values(function: str) -> None:
    version, _ = descriptions()[function]["Fn::Sub"]
    for text in (
        version.replace("${LayerVersion}", "x" * MAX_LAYER_VERSION_CHARACTERS),
        LAYER["Description"]["Fn::Sub"],
    ):
        longest = text
        for parameter in names_in(text):
            longest = longest.replace(f"${{{parameter}}}", "x" * max_length(parameter))
        assert len(longest) <= MAX_DESCRIPTION_CHARACTERS


@pytest.mark.parametrize("version", sorted(deployed("AWS::Lambda::Version")))
def test_update_keeps_the_previous_version_for_a_rollback(version: str) -> None:
    """Without the policy Retain, CloudFormation would delete the previous version during an update of the stack."""
    kept = deployed("AWS::Lambda::Version")[version]
    assert (kept["UpdateReplacePolicy"], kept["DeletionPolicy"]) == ("Retain", "Retain")


@pytest.mark.parametrize("parameters", [{}, {"DeletionProtection": "false"}])
def test_failed_first_deployment_can_roll_back(parameters: dict[str, str]) -> None:
    """A rollback deletes all resources that the deployment created, except resources with the policy Retain.

    If a service refuses to delete a resource, the rollback fails. DynamoDB refuses to delete a table with deletion
    protection. Therefore such a table must have the policy Retain.
    """
    for name, resource in deployed("AWS::DynamoDB::Table", **parameters).items():
        if resource["Properties"]["DeletionProtectionEnabled"] != "false":
            assert resource["DeletionPolicy"] == "Retain", name


@pytest.mark.parametrize("alarm", sorted(deployed("AWS::CloudWatch::Alarm")))
def test_alarm_notifies_the_topic_and_handles_missing_data(alarm: str) -> None:
    topic = "arn:aws:sns:us-east-1:123456789012:topic"
    assert "AlarmActions" not in deployed("AWS::CloudWatch::Alarm")[alarm]["Properties"]
    properties = deployed("AWS::CloudWatch::Alarm", AlarmTopicArn=topic)[alarm]["Properties"]
    assert properties["AlarmActions"] == [{"Ref": "AlarmTopicArn"}]
    assert "TreatMissingData" in properties


@pytest.mark.parametrize("queue", sorted(set(deployed("AWS::SQS::Queue")) - {"DeliveryDeadLetterQueue"}))
def test_queue_has_an_alarm(queue: str) -> None:
    """Every queue must have an alarm, except DeliveryDeadLetterQueue.

    DeliveryDeadLetterQueue contains deliveries that a receiver did not accept. They are no failures of the deployment.
    """
    watched = {name for alarm in deployed("AWS::CloudWatch::Alarm").values() for name in references(alarm)}
    assert queue in watched


def test_deletion_of_the_stack_deletes_every_function() -> None:
    """If a function were kept, its versions would be kept too, and the snapshots of the versions would cause costs.

    The deletion of a function also deletes its versions, although the versions have the policy Retain.
    """
    functions = deployed("AWS::Lambda::Function", "AWS::Lambda::Alias")
    assert [name for name, function in functions.items() if function.get("DeletionPolicy", "Delete") != "Delete"] == []


@pytest.mark.parametrize("parameters", [{}, EVERYTHING])
def test_roles_have_no_managed_policies(parameters: dict[str, str]) -> None:
    """SAM can add managed policies to a role. A managed policy allows its actions on all resources of the account."""
    for name, role in deployed("AWS::IAM::Role", **parameters).items():
        assert role["Properties"].get("ManagedPolicyArns", []) == [], name


@pytest.mark.parametrize("parameters", [{}, EVERYTHING])
def test_policies_have_no_wildcards(parameters: dict[str, str]) -> None:
    for name, role in deployed("AWS::IAM::Role", **parameters).items():
        for policy in role["Properties"]["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                actions = {*statement["Action"]} if isinstance(statement["Action"], list) else {statement["Action"]}
                assert all("*" not in action for action in actions), name
                assert statement["Resource"] != "*" or actions <= WITHOUT_RESOURCE, name


def test_policies_have_the_current_version() -> None:
    """Without `Version`, IAM interprets a policy in the old policy language of 2008."""
    documents = [queue["Properties"]["PolicyDocument"] for queue in deployed("AWS::SQS::QueuePolicy").values()]
    for role in deployed("AWS::IAM::Role").values():
        documents.append(role["Properties"]["AssumeRolePolicyDocument"])
        documents.extend(policy["PolicyDocument"] for policy in role["Properties"]["Policies"])
    assert {document.get("Version") for document in documents} == {"2012-10-17"}


def mappings() -> dict[str, dict[str, Any]]:
    return {name: each["Properties"] for name, each in deployed("AWS::Lambda::EventSourceMapping").items()}


@pytest.mark.parametrize("mapping", sorted(mappings()))
def test_mapping_has_a_concurrency_limit(mapping: str) -> None:
    """Without a limit, the consumers of a queue could use all concurrent invocations. The API would then fail."""
    properties = mappings()[mapping]
    if "StartingPosition" in properties:
        # With the factor 1, Lambda processes each shard of the stream with one invocation at a time.
        assert properties["ParallelizationFactor"] == 1
    else:
        (limit,) = references(properties["ScalingConfig"]["MaximumConcurrency"])
        # See https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html.
        assert template()["Parameters"][limit]["MinValue"] >= 2
        assert template()["Parameters"][limit]["MaxValue"] <= 1000


@pytest.mark.parametrize("mapping", sorted(name for name, each in mappings().items() if "StartingPosition" in each))
def test_stream_mapping_gives_up_a_record_and_keeps_its_position(mapping: str) -> None:
    properties = mappings()[mapping]
    assert properties["BisectBatchOnFunctionError"] is True
    assert properties["MaximumRetryAttempts"] > 0
    # With TRIM_HORIZON, Lambda also reads the changes that were stored before its first poll of the stream.
    assert properties["StartingPosition"] == "TRIM_HORIZON"
    # The stream silently deletes a record after 24 hours. Before this time, Lambda must send the position of the record
    # in the stream to the failure queue.
    assert 0 < properties["MaximumRecordAgeInSeconds"] < 24 * 3600
    (queue,) = references(properties["DestinationConfig"]["OnFailure"]["Destination"])
    assert queue in deployed("AWS::SQS::Queue")


def sent_queues(role: str) -> set[str]:
    """Return the queues to which a role can send messages."""
    statements = (
        statement
        for policy in deployed("AWS::IAM::Role")[role]["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        if "sqs:SendMessage" in statement["Action"]
    )
    return {name for statement in statements for name in references(statement["Resource"])}


def test_function_that_sends_to_its_own_queue_allows_recursion() -> None:
    """By default, Lambda stops a loop through a queue after 16 invocations.

    The property RecursiveLoop allows the loop.
    """
    functions, recursive = deployed("AWS::Lambda::Function"), set[str]()
    for mapping in mappings().values():
        (function,), (source,) = references(mapping["FunctionName"]), references(mapping["EventSourceArn"])
        (role,) = references(functions[function]["Properties"]["Role"])
        if source in sent_queues(role):
            recursive.add(function)
    # MessageSenderFunction does not need RecursiveLoop, because its chain has only two invocations. The first handles
    # an event and sends copies to the copy queue. The second handles a copy and sends nothing.
    assert recursive == {"WebhookDeliveryFunction", "MessageSenderFunction"}
    assert functions["WebhookDeliveryFunction"]["Properties"]["RecursiveLoop"] == "Allow"


def rules_by_queue() -> dict[str, set[str]]:
    """Return a mapping from each queue to the names of the rules that send messages to the queue.

    A rule sends messages to the queue that is its target, and to the dead-letter queue of its target.
    """
    senders: dict[str, set[str]] = defaultdict(set)
    for rule, resource in deployed("AWS::Events::Rule").items():
        for name in references(resource["Properties"]["Targets"]):
            if name in deployed("AWS::SQS::Queue"):
                senders[name].add(rule)
    return senders


def test_exactly_the_rules_that_send_to_a_queue_may_do_so() -> None:
    """If the policy of the dead-letter queue does not allow a rule, EventBridge drops the failed events of the rule."""
    allowed: dict[str, set[str]] = defaultdict(set)
    for policy in deployed("AWS::SQS::QueuePolicy").values():
        (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
        assert (statement["Effect"], statement["Action"]) == ("Allow", "sqs:SendMessage")
        assert statement["Principal"] == {"Service": "events.amazonaws.com"}
        assert set(references(statement["Resource"])) == set(references(policy["Properties"]["Queues"]))
        for queue in references(statement["Resource"]):
            allowed[queue].update(references(statement["Condition"]["ArnEquals"]["aws:SourceArn"]))
    assert allowed == rules_by_queue()


def test_every_target_of_a_rule_has_a_dead_letter_queue() -> None:
    targets = [target for rule in deployed("AWS::Events::Rule").values() for target in rule["Properties"]["Targets"]]
    queues = [list(references(target["DeadLetterConfig"]["Arn"])) for target in targets]
    assert all(len(names) == 1 and names[0] in deployed("AWS::SQS::Queue") for names in queues)


def test_functions_can_be_invoked_by_resources_of_the_template_only() -> None:
    for name, permission in deployed("AWS::Lambda::Permission").items():
        sources = set(references(permission["Properties"]["SourceArn"])) - {"AWS"}
        assert {source for source in sources if not source.startswith("AWS::")}, name


@pytest.mark.parametrize("queue", sorted(deployed("AWS::SQS::Queue")))
def test_queue_is_encrypted_and_keeps_messages_longer_than_their_attempts_take(queue: str) -> None:
    properties = deployed("AWS::SQS::Queue")[queue]["Properties"]
    assert properties["SqsManagedSseEnabled"] is True
    days = 4 if "RedrivePolicy" in properties else 14
    assert properties["MessageRetentionPeriod"] == days * 24 * 3600


def test_failed_scheduled_invocation_is_not_retried() -> None:
    """By default, Lambda retries a failed invocation twice, and a throttled invocation for six hours.

    These retries would run at the same time as the next scheduled invocations.
    """
    rules = [rule["Properties"] for rule in deployed("AWS::Events::Rule").values()]
    scheduled = {
        name
        for rule in rules
        if "ScheduleExpression" in rule
        for target in rule["Targets"]
        for name in references(target["Arn"])
    }
    configs = {
        name: (config["Properties"]["MaximumRetryAttempts"], config["Properties"]["MaximumEventAgeInSeconds"])
        for config in deployed("AWS::Lambda::EventInvokeConfig").values()
        for name in references(config["Properties"]["FunctionName"])
        if name in scheduled
    }
    assert configs == dict.fromkeys(scheduled, (0, 60)) == {"SweeperFunction": (0, 60)}


def test_failed_message_of_a_phone_is_not_lost() -> None:
    """Amazon SNS does not notice if its asynchronous invocation fails. Therefore Lambda must keep the message."""
    (subscription,) = deployed("AWS::SNS::Subscription").values()
    assert subscription["Properties"]["Protocol"] == "lambda"
    (function,) = references(subscription["Properties"]["Endpoint"])
    (config,) = (
        each["Properties"]
        for each in deployed("AWS::Lambda::EventInvokeConfig").values()
        if function in references(each["Properties"]["FunctionName"])
    )
    (queue,) = references(config["DestinationConfig"]["OnFailure"]["Destination"])
    assert queue == "InboundMessageDeadLetterQueue"
    assert "MaximumRetryAttempts" not in config, "Lambda's default is two retries"


def test_only_the_topic_of_phones_invokes_the_function_of_inbound_messages() -> None:
    (permission,) = (
        each["Properties"]
        for each in deployed("AWS::Lambda::Permission").values()
        if "InboundMessagesFunction" in references(each["Properties"]["FunctionName"])
    )
    assert permission["Principal"] == "sns.amazonaws.com"
    assert permission["SourceArn"] == {"Ref": "InboundMessageTopic"}
    (policy,) = deployed("AWS::SNS::TopicPolicy").values()
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "sms-voice.amazonaws.com"}
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_schedule_does_not_retry_an_event() -> None:
    """By default, EventBridge retries an event for a day if its target does not accept the event.

    These retries would run at the same time as the next scheduled invocations.
    """
    rules = [rule["Properties"] for rule in deployed("AWS::Events::Rule").values()]
    policies = [target["RetryPolicy"] for rule in rules if "ScheduleExpression" in rule for target in rule["Targets"]]
    assert policies == [{"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}] * len(keys.DUE_SHARDS)


def test_every_function_has_its_own_log_group_with_retention() -> None:
    users: dict[str, list[str]] = defaultdict(list)
    for name, function in deployed("AWS::Lambda::Function").items():
        (group,) = references(function["Properties"]["LoggingConfig"]["LogGroup"])
        users[group].append(name)
    groups = deployed("AWS::Logs::LogGroup")
    assert set(users) <= set(groups)
    assert all(len(names) == 1 for names in users.values())
    assert all("RetentionInDays" in group["Properties"] for group in groups.values())
