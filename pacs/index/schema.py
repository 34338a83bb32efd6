"""The schema's version: Alembic migrations, applied by ``filmless migrate`` and ``filmless up``."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, delete, update

from pacs.errors import IndexUnavailable
from pacs.index.engine import reading, writing
from pacs.index.models import conflict, ledger_entry, ledger_head, ledger_segment, patient, tombstone
from pacs.index.postgresql import without_haste
from pacs.ledger.segments import FIRST_HEAD

_MIGRATIONS = Path(__file__).with_name("migrations")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def newest_version() -> str:
    """Return the schema version of this software."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None  # noqa: S101 - the package ships migrations
    return head


def current_version(engine: Engine) -> str | None:
    """Return the schema version of the database, None if it has none.

    Raises
    ------
    IndexUnavailable
    """
    with reading(engine) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def migrate(engine: Engine) -> tuple[str | None, str]:
    """Bring the database to this software's schema, in one transaction; return the versions before and after.

    Raises
    ------
    IndexUnavailable
        The database does not answer, or is of a newer version than this software.
    """
    before = current_version(engine)
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if before is not None and before not in known:
        raise IndexUnavailable(f"the database has schema {before}, which is newer than this software")
    with writing(engine) as connection, without_haste(connection):
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return before, newest_version()


def clear(engine: Engine) -> None:
    """Remove what the store can give back, and forget how far the ledger is known.

    Raises
    ------
    IndexUnavailable
    """
    with writing(engine) as connection, without_haste(connection):
        for table in (patient, conflict, tombstone, ledger_entry, ledger_segment):
            connection.execute(delete(table))  # studies go with their patients
        beginning = {"number": FIRST_HEAD.number, "sha256": FIRST_HEAD.sha256, "entries": 0}
        connection.execute(update(ledger_head).values(beginning))


def require_newest(engine: Engine) -> None:
    """Check that the database has this software's schema.

    Raises
    ------
    IndexUnavailable
        It has another, or none.
    """
    current, newest = current_version(engine), newest_version()
    if current != newest:
        raise IndexUnavailable(
            f"the database has schema {current or 'none'} and this software needs {newest}: "
            "run 'filmless migrate'"
        )
