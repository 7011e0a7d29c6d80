"""Check template.yaml with cfn-lint (and its rules for serverless applications) and with checkov.

Run `python -m tests.support.lint_template`. The baseline of a tool lists the rules whose findings are accepted. The
program prints each finding of a rule that is not in the baseline. The program also prints each rule in the baseline
that has no finding. If anything was printed, the exit code is 1.

cfn-lint checks two templates for three regions, and reports errors, warnings and informational findings. The first
template is template.yaml with the state machine inlined. The second template is the output of the SAM transform.
checkov checks only the second template.

Each tool has its own virtual environment, because the package versions of the tools and of the tests conflict.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support.template import ROOT
from tests.support.translated import packaged, translated

TOOLS = ROOT / ".tools/bin"

REGIONS = ("us-east-1", "eu-central-1", "ap-southeast-2")

CFN_LINT = {
    "I3011": "queues and log groups hold only data that the table also holds; table and secret have both policies",
    "W1030": "the default of ExistingTableStreamArn is empty, and an empty value is not used",
    "W1031": "as W1030",
    "W1035": "as W1030",
    "W1020": "the transform resolves the parameters in the layer description, so its Fn::Sub contains no parameter",
    "W3011": "only replaced versions are retained; SAM would copy a DeletionPolicy of the function to its versions",
    "ES1001": "the queues have dead-letter queues",
    "ES1007": "if a run of the sweeper fails, the next run follows within a minute",
    "ES2000": "the parameter AccessLogs turns on access logs",
    "ES6000": "a dead-letter queue has no dead-letter queue",
    "ES7000": "SNS retries an unavailable function for 23 days; the function has a dead-letter queue for its failures",
    "WS1000": "the parameter XRayTracing turns on tracing",
    "WS1004": "the rule does not know LoggingConfig; test_translated_template.py checks the log groups",
}
"""The baseline for cfn-lint. Maps each rule ID to the reason for accepting its findings."""

CHECKOV = {
    "CKV_AWS_18": "only functions and links of five minutes read the bucket; access logs would need a second bucket",
    "CKV_AWS_21": "versions would keep the content of deleted media, and no content is ever overwritten",
    "CKV_AWS_26": "only a customer key would let the SMS service publish; it costs money and can fail",
    "CKV_AWS_27": "SQS encrypts with its own keys (SqsManagedSseEnabled); a customer key costs money and can fail",
    "CKV_AWS_95": "the parameter AccessLogs turns on access logs",
    "CKV_AWS_115": "the event source mappings bound the concurrency, and ApiReservedConcurrency reserves the API's",
    "CKV_AWS_116": "the next run of the sweeper repeats its work; InboundMessagesFunction has a failure destination",
    "CKV_AWS_117": "the functions need only public endpoints; the parameter VpcSubnetIds puts two functions into a VPC",
    "CKV_AWS_119": "DynamoDB encrypts with a key that AWS owns; a customer key would cost money and could fail",
    "CKV_AWS_149": "as CKV_AWS_119",
    "CKV_AWS_158": "logs contain no personal data, and CloudWatch encrypts them",
    "CKV_AWS_173": "the variables contain no secret, and Lambda encrypts them",
}
"""The baseline for checkov. Maps each check ID to the reason for accepting its findings."""


def run(*command: str) -> Any:
    """Run a tool that prints JSON. Return the printed value.

    The exit code is ignored, because the tools report findings with an exit code.
    """
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return json.loads(result.stdout)
    except ValueError:
        sys.exit(f"{command[0]} failed: {result.stderr}")


def cfn_lint(*templates: Path) -> dict[str, set[str]]:
    """Return a mapping from each rule ID to the messages of its findings."""
    levels = ("--include-checks", "I", "W", "E")
    rules = ("--append-rules", "cfn_lint_serverless.rules")
    regions = ("--regions", *REGIONS)
    found: dict[str, set[str]] = {}
    for match in run(str(TOOLS / "cfn-lint"), *map(str, templates), "--format", "json", *levels, *rules, *regions):
        path = "/".join(map(str, match["Location"]["Path"] or ()))
        found.setdefault(match["Rule"]["Id"], set()).add(f"{path}: {match['Message']}")
    return found


def checkov(template: Path) -> dict[str, set[str]]:
    """Return a mapping from each check ID to its findings. A finding names the failed resource."""
    options = ("--framework", "cloudformation", "--output", "json", "--quiet", "--skip-download")
    found: dict[str, set[str]] = {}
    for check in run(str(TOOLS / "checkov"), "--file", str(template), *options)["results"]["failed_checks"]:
        found.setdefault(check["check_id"], set()).add(f"{check['resource']}: {check['check_name']}")
    return found


def differences(found: Mapping[str, Iterable[str]], baseline: Mapping[str, str]) -> list[str]:
    """Return a line for each finding without a baseline entry, and for each baseline entry without a finding."""
    new = [f"{rule} {text}" for rule in sorted(found) if rule not in baseline for text in sorted(found[rule])]
    old = [
        f"{rule} is in the baseline, but nothing is found: remove it" for rule in sorted(baseline) if rule not in found
    ]
    return new + old


def main() -> None:
    with TemporaryDirectory() as folder:
        before, after = Path(folder) / "packaged.json", Path(folder) / "translated.json"
        before.write_text(json.dumps(packaged()))
        after.write_text(json.dumps(translated()))
        lines = differences(cfn_lint(before, after), CFN_LINT) + differences(checkov(after), CHECKOV)
    if lines:
        sys.exit("\n".join(lines))


if __name__ == "__main__":
    main()
