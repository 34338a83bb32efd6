"""Composite Instance Retrieve Without Bulk Data: a C-GET of what is known of instances (PS3.4 Annex Z)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from pacs.archive import Archive
from pacs.bulkless import encode_without_bulk, syntaxes_without_bulk
from pacs.dimse.information_models import InformationModel, QueryLevel
from pacs.dimse.retrieving.outgoing import Outgoing
from pacs.index.records import StoredInstance

# It has one level, and one key: SOP Instance UIDs (PS3.4 Z.1.2, Z.6.1).
WITHOUT_BULK: Final = InformationModel(
    "Composite Instance Without Bulk Data", "", "", "1.2.840.10008.5.1.4.1.2.5.3", (QueryLevel.IMAGE,)
)


def open_without_bulk(
    archive: Archive,
    instance: StoredInstance,
    accepted: Collection[str],
    preferred: Sequence[str],
    piece_size_bytes: int,
) -> Outgoing | None:
    """Encode the data set without bulk data in what the peer takes; None where it can take none of it.

    Parameters are those of `pacs.dimse.retrieving.outgoing.open_whole`, and so is what is raised.
    """
    del preferred, piece_size_bytes  # these are small, and have no pixels to compress
    syntax = next((uid for uid in syntaxes_without_bulk(instance) if uid in accepted), None)
    if syntax is None:
        return None
    return Outgoing(syntax, [encode_without_bulk(archive, instance, syntax)])
