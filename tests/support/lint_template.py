"""Check template.yaml with cfn-lint, its rules for serverless applications, and checkov.

Run `python -m tests.support.lint_template`. The program prints each new finding and each entry of a baseline that no
tool reports any more. It then exits with 1.

cfn-lint checks the template with the state machine inlined, and the output of the SAM transform, at every level, in
three regions. checkov checks the output of the SAM transform. The tools have environments of their own, because they
need other versions of packages.
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
    "I3011": "queues and log groups hold nothing that the table does not hold; table and secret have both policies",
    "W1030": "the default of ExistingTableStreamArn is empty, and is not used then",
    "W1031": "as W1030",
    "W1035": "as W1030",
    "W1020": "the transform resolves the parameters in the description of the layer, but keeps Fn::Sub",
    "W3011": "a function goes with its stack, but keeps its replaced versions; SAM would copy a DeletionPolicy to them",
    "ES1001": "the queues have dead-letter queues of their own",
    "ES1007": "if a run of the sweeper fails, the next run follows within a minute",
    "ES2000": "the parameter AccessLogs turns on access logs",
    "ES6000": "a dead-letter queue has no dead-letter queue",
    "WS1000": "the parameter XRayTracing turns on tracing",
    "WS1004": "the rule does not know LoggingConfig; test_translated_template.py checks the log groups",
}
"""The findings that are accepted, with the reasons."""

CHECKOV = {
    "CKV_AWS_27": "SQS encrypts with keys of its own (SqsManagedSseEnabled); a customer key costs and adds a failure",
    "CKV_AWS_95": "the parameter AccessLogs turns on access logs",
    "CKV_AWS_115": "the event source mappings bound the concurrency, and ApiReservedConcurrency reserves the API's",
    "CKV_AWS_116": "no function is invoked asynchronously, except the sweeper; the queues have dead-letter queues",
    "CKV_AWS_117": "the functions need only public endpoints; the parameters VpcSubnetIds put two into a VPC",
    "CKV_AWS_119": "DynamoDB encrypts with a key of AWS; a customer key costs and adds a failure",
    "CKV_AWS_149": "as CKV_AWS_119",
    "CKV_AWS_158": "logs contain no personal data, and CloudWatch encrypts them",
    "CKV_AWS_173": "the variables contain no secret, and Lambda encrypts them",
}
"""The findings that are accepted, with the reasons."""


def run(*command: str) -> Any:
    """Run a tool that prints JSON, and return the printed value. A tool that finds something exits with an error."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return json.loads(result.stdout)
    except ValueError:
        sys.exit(f"{command[0]} failed: {result.stderr}")


def cfn_lint(*templates: Path) -> dict[str, set[str]]:
    """Return the messages of the findings by rule."""
    levels = ("--include-checks", "I", "W", "E")
    rules = ("--append-rules", "cfn_lint_serverless.rules")
    regions = ("--regions", *REGIONS)
    found: dict[str, set[str]] = {}
    for match in run(str(TOOLS / "cfn-lint"), *map(str, templates), "--format", "json", *levels, *rules, *regions):
        path = "/".join(map(str, match["Location"]["Path"] or ()))
        found.setdefault(match["Rule"]["Id"], set()).add(f"{path}: {match['Message']}")
    return found


def checkov(template: Path) -> dict[str, set[str]]:
    """Return the resources and the descriptions of the failed checks by check."""
    options = ("--framework", "cloudformation", "--output", "json", "--quiet", "--skip-download")
    found: dict[str, set[str]] = {}
    for check in run(str(TOOLS / "checkov"), "--file", str(template), *options)["results"]["failed_checks"]:
        found.setdefault(check["check_id"], set()).add(f"{check['resource']}: {check['check_name']}")
    return found


def differences(found: Mapping[str, Iterable[str]], baseline: Mapping[str, str]) -> list[str]:
    """Return a line for each finding that is not in the baseline, and for each entry of it that was not found."""
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
