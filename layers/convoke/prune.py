"""Leaves in a layer what functions use of botocore's data: `python prune.py SITE SERVICE...`.

The descriptions of some 400 services are 27 MB; those of a few with their documentation, and the endpoints of all,
still are a tenth of a cold start. Of botocore's authorities, those of AWS are put beside it: to read all of them takes
long, and each new connection does.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import ssl
import sys
from pathlib import Path
from typing import Any

ROOTS = {f"Amazon Root CA {number}" for number in (1, 2, 3, 4)} | {"Starfield Services Root Certificate Authority - G2"}
"""The common names of Amazon Trust Services, which clients of AWS are asked to trust: chains end in one of them."""


def prune(data: Path, services: list[str]) -> None:
    for folder in data.iterdir():
        if folder.is_dir() and folder.name not in services:
            shutil.rmtree(folder)
    prefixes = {_keep_latest(data / service) for service in services}
    endpoints = json.loads((data / "endpoints.json").read_text())
    for partition in endpoints["partitions"]:
        kept = partition["services"]
        partition["services"] = {prefix: kept[prefix] for prefix in kept if prefix in prefixes}
    _write(data / "endpoints.json", endpoints)


def _keep_latest(service: Path) -> str:
    """The service's name in its endpoints. Of its versions the latest stays, without documentation and examples."""
    *older, latest = sorted(service.iterdir())
    for version in older:
        shutil.rmtree(version)
    for examples in latest.glob("examples-*"):
        examples.unlink()
    for packed in latest.glob("*.json.gz"):
        _write(packed.with_suffix(""), _without_documentation(json.loads(gzip.decompress(packed.read_bytes()))))
        packed.unlink()
    return str(json.loads((latest / "service-2.json").read_text())["metadata"]["endpointPrefix"])


def _without_documentation(described: Any) -> Any:
    """A shape may have a member of that name, which is an object."""
    match described:
        case dict():
            return {
                name: _without_documentation(value)
                for name, value in described.items()
                if name != "documentation" or not isinstance(value, str)
            }
        case list():
            return [_without_documentation(value) for value in described]
        case _:
            return described


def roots_of_amazon(bundle: str) -> str:
    """Those certificates of a bundle, as they stand there."""
    certificates = re.findall(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", bundle, re.DOTALL)
    kept = [certificate for certificate in certificates if _common_name(certificate) in ROOTS]
    if len(kept) != len(ROOTS):
        raise ValueError(f"of the {len(ROOTS)} roots of Amazon the bundle has {len(kept)}")
    return "".join(kept)


def _common_name(certificate: str) -> Any:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=certificate)
    authorities: list[Any] = context.get_ca_certs()
    names = {name: value for each in authorities for parts in each["subject"] for name, value in parts}
    return names.get("commonName")


def _write(path: Path, content: Any) -> None:
    """As a new file: an installer may have linked the old one with its cache, which every environment shares."""
    written = path.with_name(f"{path.name}.new")
    written.write_text(json.dumps(content, separators=(",", ":")))
    os.replace(written, path)


if __name__ == "__main__":
    site = Path(sys.argv[1])
    prune(site / "botocore/data", sys.argv[2:])
    (site / "amazon-roots.pem").write_text(roots_of_amazon((site / "botocore/cacert.pem").read_text()))
