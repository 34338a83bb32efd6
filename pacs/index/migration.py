"""Bringing a database to the schema of this software by Alembic, as ``filmless migrate`` and ``up`` do.

Apart from the rest of the index, as nobody else needs Alembic: it takes 11 MB and a quarter of a second.
"""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from pacs.errors import IndexUnavailable
from pacs.index.engine import writing
from pacs.index.postgresql import without_haste
from pacs.index.schema import MIGRATIONS, current_version, newest_version


def alembic_config() -> Config:
    """Say to Alembic where the migrations are."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def migrate(engine: Engine) -> tuple[str | None, str]:
    """Bring the database to this software's schema, in one transaction; return the versions before and after.

    Raises
    ------
    IndexUnavailable
        The database does not answer, or is of a newer version than this software.
    """
    before = current_version(engine)
    config = alembic_config()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if before is not None and before not in known:
        raise IndexUnavailable(f"the database has schema {before}, which is newer than this software")
    with writing(engine) as connection, without_haste(connection):
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return before, newest_version()
