"""What failing disks do to stored objects."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pacs.archive import Archive
from storage.packed_keys import parse_packed_key


def damage(archive: Archive, key: str, content: bytes) -> None:
    """Leave other bytes where an object is; in a pack, where its place is given, zeros follow them."""
    packed = parse_packed_key(key)
    if packed is None:
        archive.store.delete(key)
        archive.store.put(key, content)
        return
    with (_folder(archive) / "packs" / packed.pack).open("r+b") as pack:
        pack.seek(packed.offset)
        pack.write(content.ljust(packed.size_bytes, b"\0"))


def _folder(archive: Archive) -> Path:
    if archive.spools:
        return archive.settings.resolved_spool_dir
    return Path(url2pathname(urlsplit(archive.settings.resolved_store_url).path))
