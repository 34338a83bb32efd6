"""What a peer may ask of us, in time and size."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Patience and bounds of an association. The defaults suit a hospital; tests are less patient."""

    tls_handshake_timeout_s: float = 5.0
    associate_timeout_s: float = 10.0  # ARTIM until the A-ASSOCIATE-RQ, or its answer, is complete
    network_timeout_s: float = 60.0  # silence between PDUs, or a peer that does not read
    pdu_timeout_s: float = 30.0  # spent waiting for the rest of a PDU
    close_timeout_s: float = 2.0  # ARTIM after our last word
    rate_grace_s: float = 30.0  # spent waiting for one message, after which its rate is looked at
    min_rate_bytes_per_s: float = 1024.0
    max_pdu_length: int = 128 * 1024  # announced for P-DATA-TF
    max_command_size_bytes: int = 64 * 1024
