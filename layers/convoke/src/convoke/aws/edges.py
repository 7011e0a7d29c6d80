"""Create the edges of the AWS engine. An edge is an object that the engine provides to the program.

Each property returns one edge. The first use of a property imports the edge's modules and creates the edge. Therefore a
cold start imports only the edges that the function uses. For example, the sweeper does not import the webhook client.
See docs/decisions/0058-cold-start.md.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from convoke.config import Settings
from convoke.domain import instants
from convoke.domain.instants import Clock, Sleep
from convoke.domain.provisioning import ProvisioningRetries
from convoke.domain.receivers import ReceiverRules
from convoke.domain.sids import NewSid, SidFactory
from convoke.storage import keys

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger
    from botocore.config import Config
    from botocore.session import Session
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

    from convoke.aws.copy_queue import SqsCopyQueue
    from convoke.aws.delivery_queue import SqsDeadLetterQueue, SqsDeliveryQueue
    from convoke.aws.dynamodb import DynamoDbTable
    from convoke.aws.event_bus import EventBridgeBus
    from convoke.aws.media_bucket import MediaBucket
    from convoke.aws.participant_queue import SqsParticipantQueue
    from convoke.aws.secrets import SecretApiKeyMasters, SecretAuthTokens
    from convoke.aws.sender_secrets import SecretSenderSecrets
    from convoke.aws.workflow import StepFunctionsWorkflow
    from convoke.domain.senders import Provider
    from convoke.observability import EmfMetrics
    from convoke.operations.participant_adder import Admit
    from convoke.operations.ports import Carrier, NobodyOnline
    from convoke.webhooks.client import WebhookHttpClient
    from convoke.webhooks.media_client import MediaHttpClient


CONNECT_TIMEOUT_SECONDS = 2
READ_TIMEOUT_SECONDS = 5
MAX_ATTEMPTS = 3
"""The maximum number of attempts of a call to AWS, except a call that sends an SMS or an MMS.

With this number and the two timeouts above, a call and its retries end before the function's timeout. With botocore's
defaults, 60 seconds and up to 10 attempts, a call could outlast the function.
"""

PATH_DELIMITERS = "?"
"""The characters that end a path even if a client percent-encodes them.

An HTTP API of API Gateway decodes the path before it searches for the query, so `%3F` ends the path. See
docs/behaviour/requests-and-answers.md#names-on-aws.
"""


MAX_UPLOAD_BYTES = 4 * 1024 * 1024
"""The maximum size of an uploaded file.

The event of an invocation must be at most 6 MB. The event contains the file in Base64, which is a third longer. See
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html.
"""


CONSOLE_POLL_SECONDS = 10
"""How many seconds the console waits between two requests for new events.

The pause is long, because each request costs an invocation of the API function and a read of the table.
"""


class AwsEdges:
    """The edges of a deployment. The environment variables `environ` configure the edges.

    For a function, template.yaml sets the variables. For the command line, cli/deployment.py takes most values from
    the outputs of the stack.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.settings = Settings(environ)
        self.public_url = self.settings.public_url
        self.now: Clock = instants.now
        self.sleep: Sleep = time.sleep
        self.new_sid: NewSid = SidFactory()
        self.provisioning_retries = ProvisioningRetries.model_validate(self.settings.provisioning_retries)
        self.admit: Admit | None = None
        self.path_delimiters = PATH_DELIMITERS
        self.simulates_phones = False
        self.max_upload_bytes = MAX_UPLOAD_BYTES

    @cached_property
    def logger(self) -> Logger:
        from convoke.observability import json_logger

        return json_logger(self.settings.stack_name)

    @cached_property
    def metrics(self) -> EmfMetrics:
        from convoke.observability import EmfMetrics

        return EmfMetrics(self.settings.stack_name)

    @cached_property
    def table(self) -> DynamoDbTable:
        from convoke.aws.dynamodb import DynamoDbTable

        return DynamoDbTable(self._client("dynamodb"), self.settings.table_name)

    @cached_property
    def auth_tokens(self) -> SecretAuthTokens:
        from convoke.aws.secrets import SecretAuthTokens

        return SecretAuthTokens(self._secrets, self.settings.auth_token_prefix, self._account_may_have_token)

    @cached_property
    def api_key_masters(self) -> SecretApiKeyMasters:
        from convoke.aws.secrets import SecretApiKeyMasters

        return SecretApiKeyMasters(self._secrets, self.settings.api_key_master_secret)

    @cached_property
    def sender_secrets(self) -> SecretSenderSecrets:
        from convoke.aws.sender_secrets import SecretSenderSecrets

        return SecretSenderSecrets(self._secrets, self.settings.sender_secret_prefix)

    def _account_may_have_token(self, account_sid: str) -> bool:
        """Return whether an account exists or is the first account of the deployment.

        The first account has an Auth Token before the account exists, because the first request creates the account.
        """
        return account_sid == self.settings.first_account_sid or self.table.get(keys.account(account_sid)) is not None

    @cached_property
    def participant_queue(self) -> SqsParticipantQueue:
        from convoke.aws.participant_queue import SqsParticipantQueue

        return SqsParticipantQueue(self._sqs, self.settings.participant_queue_url)

    @cached_property
    def delivery_queue(self) -> SqsDeliveryQueue:
        from convoke.aws.delivery_queue import SqsDeliveryQueue

        return SqsDeliveryQueue(self._sqs, self.settings.delivery_queue_url)

    @cached_property
    def delivery_dead_letter_queue(self) -> SqsDeadLetterQueue:
        from convoke.aws.delivery_queue import SqsDeadLetterQueue

        return SqsDeadLetterQueue(self._sqs, self.settings.delivery_dead_letter_queue_url)

    @cached_property
    def delivery_failure_queue(self) -> SqsDeadLetterQueue:
        from convoke.aws.delivery_queue import SqsDeadLetterQueue

        return SqsDeadLetterQueue(self._sqs, self.settings.delivery_failure_queue_url)

    @cached_property
    def change_dead_letter_queue(self) -> SqsDeadLetterQueue:
        from convoke.aws.delivery_queue import SqsDeadLetterQueue

        return SqsDeadLetterQueue(self._sqs, self.settings.change_dead_letter_queue_url)

    @cached_property
    def workflow(self) -> StepFunctionsWorkflow:
        from convoke.aws.workflow import StepFunctionsWorkflow

        return StepFunctionsWorkflow(self._client("stepfunctions"), self.settings.state_machine_arn)

    @cached_property
    def event_bus(self) -> EventBridgeBus:
        from convoke.aws.event_bus import EventBridgeBus

        return EventBridgeBus(self._client("events"), self.settings.event_bus_name)

    @cached_property
    def copy_queue(self) -> SqsCopyQueue:
        from convoke.aws.copy_queue import SqsCopyQueue

        return SqsCopyQueue(self._sqs, self.settings.copy_queue_url)

    @cached_property
    def copy_failure_queue(self) -> SqsCopyQueue:
        from convoke.aws.copy_queue import SqsCopyQueue

        return SqsCopyQueue(self._sqs, self.settings.copy_failure_queue_url)

    @cached_property
    def outbound_failure_queue(self) -> SqsDeadLetterQueue:
        from convoke.aws.delivery_queue import SqsDeadLetterQueue

        return SqsDeadLetterQueue(self._sqs, self.settings.outbound_failure_queue_url)

    @cached_property
    def carriers(self) -> Mapping[Provider, Carrier]:
        from convoke.aws.sms_carrier import SmsCarrier
        from convoke.carriers.twilio import TwilioCarrier
        from convoke.domain.senders import Provider

        return {
            Provider.TWILIO: TwilioCarrier(self.public_url),
            Provider.AWS: SmsCarrier(lambda: self._sms, lambda media: self.media_store.uri(media)),
        }

    @cached_property
    def _sms(self) -> Any:
        from botocore.config import Config

        from convoke.aws.sms_carrier import SERVICE

        # No retries, because a repeated call could send a copy twice.
        return self._client(SERVICE, config=Config(retries={"total_max_attempts": 1}))

    @cached_property
    def webhook_client(self) -> WebhookHttpClient:
        from convoke.webhooks.client import WebhookHttpClient

        return WebhookHttpClient(self.receiver_rules)

    @property
    def presence(self) -> NobodyOnline:
        from convoke.operations.ports import NobodyOnline

        return NobodyOnline()

    @cached_property
    def media_client(self) -> MediaHttpClient:
        from convoke.webhooks.media_client import MediaHttpClient

        return MediaHttpClient(self.receiver_rules)

    @cached_property
    def media_store(self) -> MediaBucket:
        from convoke.aws.media_bucket import MediaBucket

        return MediaBucket(lambda: self._client("s3"), self.settings.media_bucket)

    @cached_property
    def receiver_rules(self) -> ReceiverRules:
        settings = self.settings
        return ReceiverRules.of_deployment(
            settings.allowed_webhook_networks, https_only=settings.require_https_webhooks
        )

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        return self.settings.allowed_origins

    @property
    def console_poll_seconds(self) -> int | None:
        return CONSOLE_POLL_SECONDS if self.settings.has_console else None

    @cached_property
    def _session(self) -> Session:
        """The botocore session that all clients share.

        The functions do not use boto3, because importing boto3 would take a quarter of the time of a cold start.
        """
        from botocore.config import Config
        from botocore.session import get_session

        session = get_session()
        config = Config(
            # The type checker and AWS already validate the parameters. botocore's own validation and its long user
            # agent would take two fifths of the CPU instructions of a request that creates a resource.
            parameter_validation=False,
            user_agent="convoke",
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=READ_TIMEOUT_SECONDS,
            retries={"total_max_attempts": MAX_ATTEMPTS, "mode": "standard"},
            # Without keep-alive, a network may silently drop an idle connection of a warm function. The next call would
            # then wait for an answer until the read timeout.
            tcp_keepalive=True,
        )
        session.set_default_client_config(config)
        # Lambda and the command line set AWS_REGION, but botocore reads AWS_DEFAULT_REGION instead.
        session.set_config_variable("region", self.settings.environ.get("AWS_REGION"))
        return session

    @cached_property
    def _secrets(self) -> SecretsManagerClient:
        return self._client("secretsmanager")  # type: ignore[no-any-return]

    @cached_property
    def _sqs(self) -> SQSClient:
        return self._client("sqs")  # type: ignore[no-any-return]

    def _client(self, service: Any, config: Config | None = None) -> Any:
        """Create a client of the AWS service `service`. `config` overrides settings of the shared session.

        For S3, this method ignores `config`. The return type is Any, because botocore creates client classes at run
        time.
        """
        from botocore.config import Config

        if service == "s3":
            # By default, botocore creates S3 links that do not work everywhere. Newer regions refuse the old signature
            # version of these links. The links also use the global endpoint. This endpoint redirects requests for new
            # buckets to another host, for which the signature is invalid.
            config = Config(signature_version="s3v4", s3={"addressing_style": "virtual"})
        return self._session.create_client(service, config=config)
