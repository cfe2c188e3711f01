"""
Certificates of an authority made on the spot, by the openssl command.

With the extensions of RFC 5280 that Python 3.13 and newer ask for.
"""

import pathlib
import subprocess


def authority(folder: pathlib.Path) -> None:
    """Make a certificate authority in ``folder``."""
    _openssl(
        folder,
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        " -subj /CN=ca -addext keyUsage=critical,keyCertSign,cRLSign -keyout ca.key -out ca.crt",
    )


def certificate(folder: pathlib.Path, name: str, serial: int, *, days: int = 2) -> None:
    """Make ``name``.crt and ``name``.key for localhost, signed; over already with -1 ``days``."""
    extensions = ("subjectAltName=DNS:localhost,IP:127.0.0.1", "authorityKeyIdentifier=keyid")
    (folder / "extensions").write_text("\n".join(extensions))
    _openssl(
        folder,
        "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
        f" -subj /CN={name}{serial} -keyout {name}.key -out {name}.csr",
    )
    _openssl(
        folder,
        f"x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -days {days} -set_serial {serial}"
        f" -extfile extensions -out {name}.crt",
    )


def encrypted(folder: pathlib.Path, name: str) -> None:
    """Make ``name``.enc: ``name``.key with a password."""
    _openssl(folder, f"ec -in {name}.key -aes256 -passout pass:password -out {name}.enc")


def _openssl(folder: pathlib.Path, arguments: str) -> None:
    subprocess.run(["openssl", *arguments.split()], cwd=folder, check=True, capture_output=True)
