"""How far jobs of the workers have come with what they look through, for the next one to go on there."""

from __future__ import annotations

from sqlalchemy import Engine, select
from sqlalchemy.dialects import postgresql, sqlite

from pacs.index.engine import reading, writing
from pacs.index.models import job_cursor


class JobCursors:
    """The positions of one database. Both methods raise :class:`~pacs.errors.IndexUnavailable`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(self, job: str) -> int:
        """Tell how far a job has come; 0: it has not begun."""
        with reading(self._engine) as connection:
            position = connection.scalar(select(job_cursor.c.position).where(job_cursor.c.job == job))
        return position or 0

    def write(self, job: str, position: int) -> None:
        """Note how far a job has come."""
        dialect = postgresql if self._engine.dialect.name == "postgresql" else sqlite
        row = dialect.insert(job_cursor).values(job=job, position=position)
        put = row.on_conflict_do_update(index_elements=["job"], set_={"position": position})
        with writing(self._engine) as connection:
            connection.execute(put)
