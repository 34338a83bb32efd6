"""What was deleted on purpose."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine, delete

from pacs.index.engine import writing
from pacs.index.inserts import insert_if_new
from pacs.index.models import conflict, tombstone
from pacs.index.replacement import current_content, remove_instance
from storage.packed_keys import own_key


def bury(engine: Engine, object_key: str, sop_instance_uid: str, deleted_at: datetime) -> None:
    """Take an object out of the index, be it current or that of a conflict, and remember that it was deleted.

    Raises
    ------
    pacs.errors.IndexUnavailable
    """
    with writing(engine) as connection:
        current = current_content(connection, sop_instance_uid)
        if current is not None and own_key(current["object_key"]) == own_key(object_key):
            remove_instance(connection, current)
        connection.execute(delete(conflict).where(conflict.c.subject == own_key(object_key)))
        values = {
            "sop_instance_uid": sop_instance_uid,
            "object_key": object_key,
            "deleted_at": deleted_at,
        }
        insert_if_new(connection, tombstone, values)
