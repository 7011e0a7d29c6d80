"""Check names: unique names, identities, and the addresses of address configurations.

A URL path can contain one of these names instead of a SID.

On AWS, a new name must not contain a character of `PATH_DELIMITERS`, see aws/edges.py. On one machine, there is no such
rule. See docs/behaviour/requests-and-answers.md#names-on-aws.
"""

from __future__ import annotations

from typing import TypeVar

from pydantic import AfterValidator, ValidationInfo

from convoke.domain.errors import InvalidParameterError

Name = TypeVar("Name", str, str | None)


def check_name_in_path(name: Name, info: ValidationInfo) -> Name:
    """Return the name unchanged. Raise an error if the name contains a character at which the gateway truncates paths.

    The validation context (`info.context`) contains these characters. Convoke passes a context only when it validates
    the parameters of a request. Therefore stored names stay valid.
    """
    # The gateway would cut the name in a path at this character. The path would then name a different resource.
    for character in info.context or "":
        if name and character in name:
            raise InvalidParameterError(
                wanted=f"a text without {character}, because the gateway of this deployment cuts paths at {character}"
            )
    return name


NAME_IN_PATH = AfterValidator(check_name_in_path)
"""The validator for every field whose values can be in a path. `PATH_VALUES` in api/path_values.py lists the paths."""
