"""The cold start of a deployed function, and its SnapStart hooks.

See docs/decisions/0058-cold-start.md and docs/decisions/0061-snapstart.md.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from snapshot_restore_py import register_after_restore, register_before_snapshot

if TYPE_CHECKING:
    from pydantic import BaseModel

    from convoke.aws.handlers.invocations import Handler


def started(function: str, environ: Mapping[str, str]) -> Handler:
    """Import the module of `function` in `convoke.aws.handlers` and return its handler.

    The garbage collector is off during the imports. A collection would free almost no memory, because nearly every
    object that a cold start creates lives as long as the process.

    `app.py` must import no other module of this package, because the garbage collector is off only in this function.
    """
    gc.disable()
    # Import here, because the garbage collector is off only until `gc.enable` below.
    from convoke.aws.edges import AwsEdges  # noqa: PLC0415 - see above

    # The functions that are registered later run earlier. Therefore `_before_snapshot` also builds the models of the
    # modules that the function of a handler imports before a snapshot.
    register_before_snapshot(_before_snapshot)
    register_after_restore(_after_restore)
    handler: Handler = import_module(f"convoke.aws.handlers.{function}").make_handler(AwsEdges(environ))
    # Exclude all existing objects from later collections.
    gc.freeze()
    gc.enable()
    return handler


def _before_snapshot() -> None:
    """Import the modules and build the models that the first requests need, so that the snapshot contains them."""
    # Import here and not at the top of this file, because the garbage collector is on while this file is imported.
    from pydantic import BaseModel  # noqa: PLC0415 - only for snapshots

    from convoke.domain.groups import is_group_number  # noqa: PLC0415 - only for snapshots

    _build_subclasses(BaseModel)
    # The first check of a number imports phonenumbers, so the snapshot contains phonenumbers. A start without a
    # snapshot imports phonenumbers only when a request needs it.
    is_group_number("+15017122661")
    gc.collect()
    gc.freeze()


def _build_subclasses(model: type[BaseModel]) -> None:
    """Build all subclasses of `model` in this package.

    Because of the option `defer_build`, pydantic would otherwise build each model at its first use.
    """
    for subclass in model.__subclasses__():
        if subclass.__module__.startswith(f"{__package__.partition('.')[0]}."):
            subclass.model_rebuild()
        _build_subclasses(subclass)


def _after_restore() -> None:
    """Seed `random` again after a restore.

    Otherwise all environments that start from the same snapshot would choose the same random backoff pauses.

    No other data in the snapshot must be renewed. SIDs, tokens and secrets use random numbers of the operating system.
    Before the first request, the program fetches no data that expires.
    """
    random.seed()
