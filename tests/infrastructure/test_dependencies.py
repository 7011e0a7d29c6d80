"""If Convoke uses private members of a dependency, the dependency must have a maximum version.

Any release can change a private member. Therefore the minor version in uv.lock must be the newest allowed version. To
allow a newer version, change pyproject.toml. The tests then run with the newer version.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from types import CodeType

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import convoke
from tests.support.template import ROOT


def private_names(class_: type) -> set[str]:
    """Return the private names that a class body defines, reads or writes."""
    names = set(vars(class_))
    for member in list(vars(class_).values()):
        for code in code_of(member):
            names.update(code.co_names)
    # Every abstract class has `_abc_impl`, which `abc.ABCMeta` sets.
    return {name for name in names if re.match(r"_[^_]", name)} - {"_abc_impl"}


def code_of(member: object) -> Iterator[CodeType]:
    """Yield the code of a function, method or property, including the code of nested functions."""
    functions = [member, *(getattr(member, name, None) for name in ("__func__", "fget", "fset", "fdel"))]
    # Look at the original function behind each decorator.
    originals = [inspect.unwrap(each) for each in functions if callable(each)]
    found = [code for each in originals if isinstance(code := getattr(each, "__code__", None), CodeType)]
    while found:
        code = found.pop()
        yield code
        found.extend(constant for constant in code.co_consts if isinstance(constant, CodeType))


def classes() -> Iterator[type]:
    """Yield every class that a module of Convoke defines at the top level of the module.

    `convoke.__main__` is not imported, because the import would run the command line.
    """
    for module in pkgutil.walk_packages(convoke.__path__, "convoke."):
        if module.name != "convoke.__main__":
            imported = importlib.import_module(module.name)
            yield from (
                class_
                for _, class_ in inspect.getmembers(imported, inspect.isclass)
                if class_.__module__ == module.name
            )


@cache
def used_private_members() -> dict[str, dict[str, set[type]]]:
    """Find the private members of third-party base classes that Convoke's classes use.

    The result maps each package to its private members, and each private member to the classes of Convoke that use it.
    """
    used: dict[str, dict[str, set[type]]] = defaultdict(lambda: defaultdict(set))
    for class_ in classes():
        ours = [base for base in class_.__mro__ if base.__module__.partition(".")[0] == "convoke"]
        for base in class_.__mro__:
            package = base.__module__.partition(".")[0]
            if package == "convoke" or package in sys.stdlib_module_names:
                continue
            theirs = private_names(base)
            for user in ours:
                for name in theirs & private_names(user):
                    used[package][name].add(user)
    return used


def requirements() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "layers/convoke/pyproject.toml").read_text())["project"]
    optional = [each for group in project["optional-dependencies"].values() for each in group]
    return {requirement.name: requirement for requirement in map(Requirement, [*project["dependencies"], *optional])}


def locked_versions() -> dict[str, Version]:
    locked = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    return {package["name"]: Version(package["version"]) for package in locked}


def test_private_members_of_two_dependencies_are_in_use() -> None:
    assert set(used_private_members()) == {"urllib3", "uvicorn"}


@pytest.mark.parametrize("package", sorted(used_private_members()))
def test_dependency_with_private_members_in_use_has_upper_version_bound(package: str) -> None:
    allowed, locked = requirements()[package].specifier, locked_versions()[package]
    assert allowed.contains(locked)
    assert not allowed.contains(Version(f"{locked.major}.{locked.minor + 1}")), f"{package}: no upper version bound"


def test_private_members_of_urllib3_are_used_in_one_class() -> None:
    used = used_private_members()["urllib3"]
    assert set(used) == {"_new_conn", "_dns_host"}
    assert {user.__name__ for users in used.values() for user in users} == {"_BoundedConnection"}


def test_private_members_of_uvicorn_are_used_in_one_class() -> None:
    used = used_private_members()["uvicorn"]
    assert {user.__name__ for users in used.values() for user in users} == {"BoundedProtocol"}


def test_no_module_reads_private_members_of_other_objects() -> None:
    """The linter rule SLF001 finds such code, unless a `noqa` comment switches the rule off.

    Therefore this test searches for such comments.
    """
    sources = (ROOT / "layers/convoke/src").rglob("*.py")
    assert [path.name for path in sources if "SLF001" in path.read_text()] == []


def test_layer_has_the_bounds_of_the_distribution() -> None:
    """The Lambda layer contains the packages of the dependency group `lambda`.

    The group leaves out the packages that only the command line needs. The other packages must have the same version
    bounds as in the distribution.
    """
    project = tomllib.loads((ROOT / "layers/convoke/pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    declared = {*project["project"]["dependencies"], *extras["aws"]}
    # The functions use botocore without boto3. Each version of boto3 needs the same version of botocore.
    declared |= {each.replace("boto3", "botocore") for each in declared}
    assert set(project["dependency-groups"]["lambda"]) <= declared
