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

    The garbage collector is off while modules are imported: nearly every object that a start creates lives as long as
    the process, so a collection would find nothing. `app.py` therefore names its function instead of importing the
    module, and imports nothing of this package but this module.
    """
    gc.disable()
    # Imported here because the garbage collector is off only now.
    from convoke.aws.edges import AwsEdges  # noqa: PLC0415 - only now is the garbage collector off

    handler: Handler = import_module(f"convoke.aws.handlers.{function}").make_handler(AwsEdges(environ))
    # Later collections skip everything that exists now.
    gc.freeze()
    gc.enable()
    register_before_snapshot(_before_snapshot)
    register_after_restore(_after_restore)
    return handler


def _before_snapshot() -> None:
    """Import and build everything that the first requests need, so that the snapshot contains it."""
    # A start without a snapshot does not need these names, and imports them with the garbage collector off.
    from pydantic import BaseModel  # noqa: PLC0415 - only for snapshots

    from convoke.domain.groups import is_group_number  # noqa: PLC0415 - only for snapshots

    _build_subclasses(BaseModel)
    # The first check of a number imports phonenumbers, which a start without a snapshot leaves for later.
    is_group_number("+15017122661")
    gc.collect()
    gc.freeze()


def _build_subclasses(model: type[BaseModel]) -> None:
    """Build the models of this package, whose building `defer_build` leaves to their first use."""
    for subclass in model.__subclasses__():
        if subclass.__module__.startswith(f"{__package__.partition('.')[0]}."):
            subclass.model_rebuild()
        _build_subclasses(subclass)


def _after_restore() -> None:
    """Seed `random` again: all environments restored from one snapshot would otherwise draw the same backoff pauses.

    Nothing else needs a hook. SIDs, tokens and secrets are drawn from the operating system, and nothing that expires is
    fetched before the first request.
    """
    random.seed()
