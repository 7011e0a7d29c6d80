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

    The garbage collector is off while modules are imported. A collection would find nothing, because nearly every
    object that a cold start creates lives as long as the process.

    `app.py` passes the name of its function and does not import the handler's module. The import must happen in this
    function, because the garbage collector is off only here. For the same reason, `app.py` imports no other module of
    this package.
    """
    gc.disable()
    # Import here, because the garbage collector is off only now.
    from convoke.aws.edges import AwsEdges  # noqa: PLC0415 - only now is the garbage collector off

    handler: Handler = import_module(f"convoke.aws.handlers.{function}").make_handler(AwsEdges(environ))
    # Exclude all existing objects from later collections.
    gc.freeze()
    gc.enable()
    register_before_snapshot(_before_snapshot)
    register_after_restore(_after_restore)
    return handler


def _before_snapshot() -> None:
    """Import all modules and build all models that the first requests need, so that the snapshot contains them."""
    # Import here, because a start without a snapshot does not need these names. Such a start imports the modules later,
    # with the garbage collector off.
    from pydantic import BaseModel  # noqa: PLC0415 - only for snapshots

    from convoke.domain.groups import is_group_number  # noqa: PLC0415 - only for snapshots

    _build_subclasses(BaseModel)
    # The first check of a number imports phonenumbers. A start without a snapshot imports phonenumbers only when
    # needed.
    is_group_number("+15017122661")
    gc.collect()
    gc.freeze()


def _build_subclasses(model: type[BaseModel]) -> None:
    """Build all models of this package. The option `defer_build` would otherwise build each model at its first use."""
    for subclass in model.__subclasses__():
        if subclass.__module__.startswith(f"{__package__.partition('.')[0]}."):
            subclass.model_rebuild()
        _build_subclasses(subclass)


def _after_restore() -> None:
    """Seed `random` again after a restore.

    All environments that are restored from the same snapshot would otherwise choose the same random backoff pauses. No
    other module needs a hook. SIDs, tokens and secrets use random numbers of the operating system, and nothing that
    expires is fetched before the first request.
    """
    random.seed()
