from __future__ import annotations

from pacs.pictures.byte_cache import ByteCache


def test_what_was_used_longest_ago_is_dropped() -> None:
    cache = ByteCache(max_size_bytes=20)
    for key in "abcde":
        cache.put(key, b"1234")
    assert cache.get("a") == b"1234"
    cache.put("f", b"1234")
    assert cache.get("b") is None
    assert cache.get("a") == b"1234"
    cache.put("a", b"")
    cache.put("g", b"1234")
    assert [cache.get(key) for key in "acdefg"] == [b"", *[b"1234"] * 5]


def test_what_would_push_out_too_much_is_not_kept() -> None:
    cache = ByteCache(max_size_bytes=20)
    cache.put("a", b"1234")
    cache.put("large", b"x" * 6)
    assert cache.get("large") is None
    assert cache.get("a") == b"1234"
