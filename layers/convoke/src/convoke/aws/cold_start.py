"""Start a deployed function, and prepare its SnapStart snapshot.

With SnapStart, Lambda stores the memory of a started function as a snapshot. New environments start from this snapshot.

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
    """Return the handler of a deployed function. `function` is the name of its module in `convoke.aws.handlers`.

    The garbage collector is off during the imports. Nearly every object that a cold start creates lives as long as the
    process, so a collection would free almost no memory. The `app.py` of a function must not import any other module of
    Convoke, because the garbage collector is on while `app.py` runs its imports.
    """
    gc.disable()
    # Import here, while the garbage collector is off.
    from convoke.aws.edges import AwsEdges  # noqa: PLC0415 - see above

    # Register the hook `_before_snapshot` before the handler registers its own hook, because the last registered hook
    # runs first. `_before_snapshot` then also builds the models of the modules that the handler's hook imports.
    register_before_snapshot(_before_snapshot)
    register_after_restore(_after_restore)
    handler: Handler = import_module(f"convoke.aws.handlers.{function}").make_handler(AwsEdges(environ))
    # Exempt all existing objects from later collections.
    gc.freeze()
    gc.enable()
    return handler


def _before_snapshot() -> None:
    """Prepare the snapshot: import the modules and build the models that the first requests need."""
    # Import here, because the garbage collector is on while the top of this file runs.
    from pydantic import BaseModel  # noqa: PLC0415 - only for snapshots

    from convoke.domain.groups import is_group_number  # noqa: PLC0415 - only for snapshots

    _build_subclasses(BaseModel)
    # The first check of a number imports the package phonenumbers, so the snapshot contains it. Without a snapshot, a
    # function imports phonenumbers only for a request that needs it.
    is_group_number("+15017122661")
    gc.collect()
    gc.freeze()


def _build_subclasses(model: type[BaseModel]) -> None:
    """Build all subclasses of `model` that the package `convoke` defines.

    The models have the option `defer_build`. Without this function, pydantic would build each model at its first use.
    """
    for subclass in model.__subclasses__():
        if subclass.__module__.startswith(f"{__package__.partition('.')[0]}."):
            subclass.model_rebuild()
        _build_subclasses(subclass)


def _after_restore() -> None:
    """Seed `random` in an environment that starts from a snapshot.

    Otherwise all these environments would choose the same random backoff pauses. Nothing else in the snapshot needs to
    be renewed. SIDs, tokens and secrets use random numbers of the operating system, and the program fetches no expiring
    data before the first request.
    """
    random.seed()
