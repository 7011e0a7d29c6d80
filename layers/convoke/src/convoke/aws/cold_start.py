"""The start of a deployed function, whose memory SnapStart may keep and wake up many times."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from snapshot_restore_py import register_after_restore, register_before_snapshot

if TYPE_CHECKING:
    from pydantic import BaseModel

    from convoke.aws.edges import AwsEdges
    from convoke.aws.handlers import Handler


def started(make: Callable[[AwsEdges], Handler], environ: Mapping[str, str]) -> Handler:
    """The handler that `make` makes of the edges of AWS.

    What a start makes stays, so there is nothing for the garbage collector to find in it, now or later.
    """
    gc.disable()
    from convoke.aws.edges import AwsEdges

    handler = make(AwsEdges(environ))
    gc.freeze()
    gc.enable()
    register_before_snapshot(_before_snapshot)
    register_after_restore(_after_restore)
    return handler


def _before_snapshot() -> None:
    """What the first requests would import and build is there in every environment that wakes up from the snapshot."""
    from pydantic import BaseModel

    from convoke.domain.addresses import is_group_number

    _build_below(BaseModel)
    is_group_number("+15017122661")
    gc.collect()
    gc.freeze()


def _build_below(model: type[BaseModel]) -> None:
    for below in model.__subclasses__():
        if below.__module__.startswith(f"{__package__.partition('.')[0]}."):
            below.model_rebuild()
        _build_below(below)


def _after_restore() -> None:
    """Two environments of one snapshot would otherwise wait the same pauses, and meet again after each.

    SIDs, tokens and secrets are drawn from the operating system each time, and nothing that can grow old is fetched
    before the first request.
    """
    random.seed()
