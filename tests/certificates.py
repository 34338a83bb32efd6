"""Authorities and certificates, made anew for each test."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from pacs.dimse.secure_transport import Credentials

_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs certificates, whose files lie in a folder."""

    folder: Path
    ca: trustme.CA

    @classmethod
    def create(cls, folder: Path) -> Authority:
        folder.mkdir(parents=True)
        authority = cls(folder, trustme.CA())
        authority.ca.cert_pem.write_to_path(authority.file)
        return authority

    @property
    def file(self) -> Path:
        """The authority's own certificate."""
        return self.folder / "authority.pem"

    def issue(
        self,
        name: str,
        *,
        expired: bool = False,
        trusts: Path | None = None,
        not_before: datetime.datetime | None = None,
        not_after: datetime.datetime | None = None,
    ) -> Credentials:
        """Make the files of one device, which trusts this authority unless told otherwise."""
        ends = not_after or datetime.datetime.now(datetime.UTC) + (-_DAY if expired else _DAY)
        issued = self.ca.issue_cert(name, not_before=not_before, not_after=ends)
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        issued.private_key_pem.write_to_path(key)
        certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        return Credentials(certificate, key, trusts or self.file)

    def revoke(self, devices: Iterable[Credentials]) -> None:
        """Put a list of revoked certificates into the authority's file."""
        key = serialization.load_pem_private_key(self.ca.private_key_pem.bytes(), None)
        now = datetime.datetime.now(datetime.UTC)
        own = x509.load_pem_x509_certificate(self.ca.cert_pem.bytes())
        builder = x509.CertificateRevocationListBuilder(own.subject, now, now + _DAY)
        for device in devices:
            serial = x509.load_pem_x509_certificate(device.certificate.read_bytes()).serial_number
            revoked = x509.RevokedCertificateBuilder(serial, now).build()
            builder = builder.add_revoked_certificate(revoked)
        revocations = builder.sign(key, hashes.SHA256())  # type: ignore[arg-type]
        with self.file.open("ab") as file:
            file.write(revocations.public_bytes(serialization.Encoding.PEM))
