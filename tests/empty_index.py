"""Empty indexes with the newest schema: made once in a process, then copied.

Migrating takes half a second and more, and a thousand tests need an index. That a database is migrated by an
archive that starts is shown by the tests of migrations and of `filmless up`.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from pacs.archive import Archive, open_archive
from pacs.index.index import open_index
from pacs.settings import Settings


def put_empty_index(data_dir: Path) -> None:
    """Put one where an archive has its index by default."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    (data_dir / "index.sqlite").write_bytes(_sqlite_file())


def open_empty_archive(settings: Settings) -> Archive:
    """Open an archive on the default index, which is empty."""
    put_empty_index(settings.data_dir)
    return open_archive(settings)


def migrate_database(url: str) -> None:
    """Give a database the newest schema."""
    index = open_index(url)
    index.migrate()
    index.close()


@lru_cache(maxsize=1)
def _sqlite_file() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "index.sqlite"
        migrate_database(f"sqlite:///{path}")
        return path.read_bytes()
