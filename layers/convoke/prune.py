"""Remove unused data of botocore from a built layer: `python prune.py SITE SERVICE...`.

botocore describes about 400 services in 27 MB. The script keeps only the given services, each in its latest API
version, and removes the documentation from their descriptions. Reading the removed data would take a tenth of a cold
start.

The script also writes `amazon-roots.pem`, which contains only the CA certificates that AWS endpoints use. Every new
connection reads the CA certificates, and botocore's own bundle contains many more.
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
"""The common names of the root CAs that AWS asks its clients to trust: https://www.amazontrust.com/repository/."""


def prune(data: Path, services: list[str]) -> None:
    """Remove the data that the clients of `services` do not need. `data` is botocore's data folder."""
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
    """Keep only the latest API version of a service, without documentation. Return the service's endpoint prefix."""
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
    """Return a service description without its documentation texts."""
    match described:
        case dict():
            # Remove "documentation" only if its value is a text. If the value is an object, "documentation" is the name
            # of a field in the service's API.
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
    """Return the certificates of Amazon's root CAs from a bundle of PEM certificates.

    Raises ValueError if the certificate of a root CA is missing.
    """
    certificates = re.findall(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", bundle, re.DOTALL)
    kept = [certificate for certificate in certificates if _common_name(certificate) in ROOTS]
    if len(kept) != len(ROOTS):
        raise ValueError(f"the bundle has {len(kept)} of Amazon's {len(ROOTS)} root certificates")
    return "".join(kept)


def _common_name(certificate: str) -> Any:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=certificate)
    authorities: list[Any] = context.get_ca_certs()
    names = {name: value for each in authorities for parts in each["subject"] for name, value in parts}
    return names.get("commonName")


def _write(path: Path, content: Any) -> None:
    """Write `content` as JSON to a new file, and move the new file to `path`.

    Do not write to an existing file, because the file may be a hard link to a file in the installer's cache.
    """
    written = path.with_name(f"{path.name}.new")
    written.write_text(json.dumps(content, separators=(",", ":")))
    os.replace(written, path)


if __name__ == "__main__":
    site = Path(sys.argv[1])
    prune(site / "botocore/data", sys.argv[2:])
    (site / "amazon-roots.pem").write_text(roots_of_amazon((site / "botocore/cacert.pem").read_text()))
