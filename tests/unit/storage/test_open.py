"""Store URLs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import InvalidStoreUrl, StoreUnavailable
from storage.memory import MemoryStore
from storage.open import open_store


@pytest.mark.parametrize("name", ["objects", "with space", "kho ảnh", "100%", "a#b", "a?b"])
def test_a_file_url_names_a_folder(tmp_path, name):
    folder = tmp_path / name
    open_store(folder.as_uri()).put("key", b"content")
    assert (folder / "key").read_bytes() == b"content"


@pytest.mark.parametrize("start", ["file://localhost", "file:"])
def test_other_forms_of_a_file_url_are_understood(tmp_path, start):
    open_store(f"{start}{tmp_path}/objects").put("key", b"content")
    assert (tmp_path / "objects" / "key").exists()


def test_a_memory_store_is_new_each_time():
    store = open_store("memory://")
    assert isinstance(store, MemoryStore)
    store.put("key", b"content")
    assert list(open_store("memory://").list()) == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "starts with file:///, s3:// or memory://"),
        ("/srv/objects", "starts with"),
        ("objects", "starts with"),
        ("ftp://host/x", "'ftp'"),
        ("file://objects", "three slashes"),
        ("file://./objects", "three slashes"),
        ("file:objects", "three slashes"),
        ("file://host/objects", "three slashes"),
        ("file:///", "names a folder"),
        ("file:////", "names a folder"),
        ("file:///..", "names a folder"),
        ("file:///a%00b", "names a folder"),
        ("file:///a#b", "%23"),
        ("file:///a?mode=fast", "unknown parameter 'mode'"),
        ("memory://x", "alone"),
        ("memory:///x", "alone"),
        ("s3://", "names a bucket"),
        ("s3:///prefix", "names a bucket"),
        ("s3://ab", "names a bucket"),
        ("s3://Bucket_Name", "names a bucket"),
        ("s3://bucket:9000", "names a bucket"),
        ("s3://bucket/a//b", "prefix"),
        ("s3://bucket/../x", "prefix"),
        ("s3://bucket/.hidden", "prefix"),
        ("s3://bucket/" + "a" * 101, "100 characters"),
        ("s3://bucket?endpoint=http://x", "unknown parameter 'endpoint'"),
        ("s3://bucket?region=a&region=b", "twice"),
        ("s3://bucket?region=", "empty"),
        ("s3://bucket?create_bucket=yes", "true or false"),
        ("s3://bucket?endpoint_url=localhost:9000", "http://host:port"),
        ("s3://bucket?endpoint_url=http://", "http://host:port"),
        ("s3://bucket?endpoint_url=http://host:port", "http://host:port"),
        ("s3://[bucket", "cannot be read"),
    ],
)
def test_a_url_that_is_wrong_is_told_what_is_wrong(url, message):
    with pytest.raises(InvalidStoreUrl) as raised:
        open_store(url)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIAID:hunter2@bucket/x",
        "s3://bucket?aws_secret_access_key=hunter2",
        "s3://bucket?token=hunter2",
        "s3://bucket?password=hunter2",
        "s3://bucket?endpoint_url=http://user:hunter2@host:9000",
        "file://user:hunter2@host/x",
    ],
)
def test_credentials_are_refused_with_a_hint_and_never_repeated(url):
    with pytest.raises(InvalidStoreUrl) as raised:
        open_store(url)
    assert "AWS_SECRET_ACCESS_KEY" in str(raised.value)
    assert "hunter2" not in str(raised.value)


@given(st.sampled_from(["x", "s3://No_Bucket", "file://elsewhere/", "memory://x"]), st.text(max_size=60))
def test_whatever_follows_a_start_that_is_wrong_is_refused(start, rest):
    with pytest.raises(InvalidStoreUrl):
        open_store(start + rest)


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailable):
        open_store((tmp_path / "file" / "objects").as_uri())
    with pytest.raises(StoreUnavailable):
        open_store((tmp_path / "file").as_uri())
