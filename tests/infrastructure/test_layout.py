"""Each module in PACKAGES has a test file with the same name, so that readers can find the tests.

TESTED_IN and NOT_TESTED contain the exceptions.
"""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "layers/convoke/src/convoke"

PACKAGES = ("domain", "operations", "storage", "api", "api/resources", "webhooks", "carriers", "embedded", "aws")
"""The packages whose modules need a test file.

`cli` is not in the list, because its test files are named after commands. tests/plugin tests the package `testing`.
"""

TEST_FOLDERS = ("unit", "contract", "api", "functions", "infrastructure")

TESTED_IN = {
    "sync_data": "tests/api/test_sync.py",
    "sync_memory": "tests/api/test_sync.py",
    "webhook_levels": "tests/api/test_webhook_delivery.py",
    "json_schema": "tests/unit/test_contracts.py",
    "accounts": "tests/api/test_account_commands.py",
    "app": "tests/api/test_http_requests.py",
    "callers": "tests/api/test_media.py",
    "due_media": "tests/api/test_media.py",
    "media_bucket": "tests/contract/test_media_store.py",
    "media_contents": "tests/api/test_media.py",
    "media_folder": "tests/contract/test_media_store.py",
    "media_sets": "tests/api/test_media.py",
    "transfers": "tests/e2e/test_transfers.py",
    "batches": "tests/contract/test_event_bus.py",
    "client": "tests/contract/test_webhook_client.py",
    "account_keys": "tests/api/test_api_keys.py",
    "alert_details": "tests/api/test_alerts.py",
    "attempt_requests": "tests/api/test_events.py",
    "clock_api": "tests/api/test_clock.py",
    "console_api": "tests/api/test_console_codes.py",
    "request_filters": "tests/api/test_request_log.py",
    "request_log_api": "tests/api/test_request_log.py",
    "inbound_media": "tests/api/test_media_of_phones.py",
    "path_values": "tests/infrastructure/test_recipe.py",
    "request_webhooks": "tests/api/test_pre_events.py",
    "simulate_api": "tests/api/test_simulator.py",
    "simulate_routes": "tests/api/test_simulator.py",
    "simulated_reports": "tests/api/test_simulated_reports.py",
    "simulated_messages": "tests/api/test_inbound_messages.py",
    "carrier_messages": "tests/api/test_twilio_webhooks.py",
    "carriers": "tests/api/test_message_sender.py",
    "signed_requests": "tests/api/test_events.py",
    "controls_api": "tests/api/test_controls.py",
    "missing_controls": "tests/api/test_controls.py",
    "instance": "tests/api/test_controls.py",
    "planned_failures": "tests/api/test_controls.py",
    "conversation_finalizer": "tests/faults/test_crashes.py",
    "deferred": "tests/unit/test_gateway.py",
    "description": "tests/api/test_openapi.py",
    "edges": "tests/functions/test_handlers.py",
    "sms_carrier": "tests/contract/test_carriers.py",
    "twilio": "tests/contract/test_carriers.py",
    "due": "tests/unit/test_sweeper.py",
    "due_conversations": "tests/unit/test_sweeper.py",
    "due_services": "tests/api/test_services.py",
    "deleted_services": "tests/api/test_services.py",
    "engine": "tests/faults/test_kill.py",
    "failures": "tests/api/test_failed_commits.py",
    "evaluation": "tests/contract/test_table.py",
    "event_attempts": "tests/api/test_events.py",
    "event_replays": "tests/api/test_events.py",
    "freshness": "tests/unit/test_cached.py",
    "handover": "tests/faults/test_repetition.py",
    "copy_statuses": "tests/api/test_message_sender.py",
    "media_links": "tests/api/test_twilio_statuses.py",
    "copy_queue": "tests/functions/test_message_sender.py",
    "phones": "tests/api/test_message_sender.py",
    "simulated_carrier": "tests/api/test_message_sender.py",
    "lists": "tests/api/test_conversation_lists.py",
    "paging": "tests/api/test_pagination.py",
    "participant_adder": "tests/faults/test_crashes.py",
    "participant_queue": "tests/functions/test_handlers.py",
    "queue": "tests/contract/test_delivery_queue.py",
    "request_runner": "tests/unit/test_gateway.py",
    "requests": "tests/unit/test_pagination.py",
    "retention": "tests/api/test_events.py",
    "responses": "tests/unit/test_resolver.py",
    "routes": "tests/unit/test_contracts.py",
    "routing": "tests/unit/test_dispatch.py",
    "schemas": "tests/unit/test_contracts.py",
    "secrets": "tests/contract/test_auth_tokens.py",
    "server": "tests/e2e/test_up.py",
    "service_configuration_webhooks": "tests/api/test_service_configuration.py",
    "statements": "tests/contract/test_table.py",
    "sweeper": "tests/faults/test_repetition.py",
    "waiting": "tests/api/test_prefer_wait.py",
    "webhooks": "tests/api/test_configuration_webhooks.py",
    "workflow": "tests/functions/test_handlers.py",
}
"""Maps a module without its own test file to the file that tests the module.

Several modules that implement one behaviour share one test file.
"""

NOT_TESTED = {
    "answers": "declares the result of a webhook call",
    "model": "declares the base class of all models",
    "operations": "declares the operations that the API calls",
    "ports": "declares the Protocols of the outside ports",
}
"""Maps a module without tests to the reason. These modules only declare types."""


def module_name(module: Path) -> str:
    """Return the name of a module's test file, without `test_` and `.py`.

    All modules of a nested package share one test file, except the modules of `api/resources`.
    """
    _, *inner = module.relative_to(SOURCE).with_suffix("").parts
    return inner[0] if inner[0] != "resources" else inner[1]


MODULES = sorted(
    path
    for package in PACKAGES
    for path in (SOURCE / package).rglob("*.py")
    if path.name != "__init__.py" and (package == "api/resources" or "resources" not in path.parts)
)

NAMES = {module_name(module) for module in MODULES}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(SOURCE)))
def test_module_has_a_test_file_of_the_same_name(module: Path) -> None:
    name = module_name(module)
    if name in TESTED_IN or name in NOT_TESTED:
        return
    candidates = [ROOT / "tests" / folder / f"test_{name}.py" for folder in TEST_FOLDERS]
    assert any(path.exists() for path in candidates), (
        f"{module.relative_to(ROOT)} has no test file: add tests/unit/test_{name}.py,"
        " or name the file that tests it in TESTED_IN of tests/infrastructure/test_layout.py"
    )


@pytest.mark.parametrize(("name", "path"), TESTED_IN.items())
def test_exception_names_an_existing_module_and_test_file(name: str, path: str) -> None:
    assert name in NAMES, f"there is no module {name}: delete its entry from TESTED_IN"
    assert (ROOT / path).exists(), f"the test file of {name} does not exist: {path}"


@pytest.mark.parametrize("name", NOT_TESTED)
def test_module_without_tests_exists(name: str) -> None:
    assert name in NAMES, f"there is no module {name}: delete its entry from NOT_TESTED"
