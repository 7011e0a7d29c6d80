"""The script layers/convoke/prune.py removes unneeded data of botocore from the layer.

The script also writes a file with only the root CAs of Amazon. The files of the layer can be hard links to files in the
cache of the package installer. The script does not change the files in this cache.
"""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.support.template import ROOT

HOST = "dynamodb.us-east-1.amazonaws.com"

Signed = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def prune() -> Any:
    """Import the layer's build script by its path, because the script is in no package."""
    spec = importlib.util.spec_from_file_location("prune", ROOT / "layers/convoke/prune.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def certificate(name: str, issuer: Signed | None, *, authority: bool) -> Signed:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issued_by, signing = (issuer[0].subject, issuer[1]) if issuer else (subject, key)
    today = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder(issued_by, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)] if "." in name else []), critical=False)
    )
    return builder.sign(signing, SHA256()), key


def pem(*signed: Signed) -> str:
    return "".join(each[0].public_bytes(Encoding.PEM).decode() for each in signed)


def accepts(bundle: str, chain: Path) -> bool:
    """Return whether a client accepts the certificate chain of a TLS server.

    The client trusts only the CAs in `bundle`.
    """
    client, server = ssl.create_default_context(cadata=bundle), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain)
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            server.wrap_socket(theirs, server_side=True).close()
        except OSError:
            theirs.close()

    serving = threading.Thread(target=serve)
    serving.start()
    try:
        client.wrap_socket(ours, server_hostname=HOST).close()
    except ssl.SSLCertVerificationError:
        return False
    finally:
        ours.close()
        serving.join()
    return True


@pytest.mark.parametrize(("root", "accepted"), [("Amazon Root CA 1", True), ("Amazon Root CA 4", True), ("X", False)])
def test_certificate_chain_is_trusted_only_under_an_amazon_root(root: str, accepted: bool, tmp_path: Path) -> None:
    pruned = prune()
    roots = {name: certificate(name, None, authority=True) for name in (*pruned.ROOTS, "X")}
    intermediate = certificate("Amazon RSA 2048 M01", roots[root], authority=True)
    leaf = certificate(HOST, intermediate, authority=False)
    key = leaf[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    chain = tmp_path / "chain.pem"
    chain.write_text(key + pem(leaf, intermediate))
    bundle = pruned.roots_of_amazon(pem(*roots.values()))
    assert accepts(bundle, chain) is accepted
    assert accepts(pem(*roots.values()), chain)


def test_certificate_bundle_without_every_amazon_root_fails_the_build() -> None:
    with pytest.raises(ValueError, match="the bundle has 1"):
        prune().roots_of_amazon(pem(certificate("Amazon Root CA 1", None, authority=True)))


def test_pruning_a_hard_linked_file_leaves_the_installer_cache_unchanged(tmp_path: Path) -> None:
    cached, data = tmp_path / "cache.json", tmp_path / "data"
    described = {"metadata": {"endpointPrefix": "sqs"}}
    endpoints: Any = {"partitions": [{"services": {"sqs": {}, "s3": {}}}]}
    (data / "sqs/2012").mkdir(parents=True)
    (data / "sqs/2012/service-2.json").write_text(json.dumps(described))
    cached.write_text(json.dumps(endpoints))
    os.link(cached, data / "endpoints.json")
    prune().prune(data, ["sqs"])
    assert json.loads((data / "endpoints.json").read_text()) == {"partitions": [{"services": {"sqs": {}}}]}
    assert json.loads(cached.read_text()) == endpoints
