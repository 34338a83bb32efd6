"""What goes wrong between the store and an S3 server, with a real server behind a proxy that misbehaves."""

import http.client
import os
import socket
import threading
from collections import defaultdict, deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import boto3
import pytest

from storage.errors import ObjectExists, ObjectNotFound, StoreUnavailable
from storage.open import open_store
from storage.s3 import S3Store
from tests.servers import shared_seaweedfs

KEY = "ab/1.2.840.3.dcm"
BUCKET = "s3-store"


_ANSWERS = {"pretend": 200, "refuse": 503}


class Proxy(ThreadingHTTPServer):
    """Passes requests on to the real server, and does to some of them what ``faults[method]`` says, in turn.

    ``lose request``: the connection breaks before the request is carried out. ``lose answer``: it breaks
    after that. ``cut``: it breaks in the middle of the answer's body. ``pretend``: the answer is 200, and
    nothing was done. ``refuse``: the answer is 503. A function is called before the request is passed on.
    """

    daemon_threads = True

    def __init__(self, upstream):
        super().__init__(("127.0.0.1", 0), _ProxyHandler)
        self.upstream = upstream.removeprefix("http://")
        self.faults = defaultdict(deque)
        self.endpoint_url = f"http://127.0.0.1:{self.server_port}"


class _ProxyHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        faults = self.server.faults[self.command]
        fault = faults.popleft() if faults else None
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if fault == "lose request":
            self.close_connection = True
        elif fault in _ANSWERS:
            self.answer(_ANSWERS[fault], {"Content-Length": "0"}, b"")
        else:
            if callable(fault):
                fault()
            self.pass_on(body, fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815

    def pass_on(self, body, fault):
        connection = http.client.HTTPConnection(self.server.upstream)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if fault == "lose answer":
            self.close_connection = True
            return
        if fault == "cut":
            self.close_connection = True
            content = content[: len(content) // 2]
        self.answer(answer.status, dict(answer.headers), content)

    def answer(self, status, headers, content):
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() != "transfer-encoding":
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments):
        """Be silent."""


@pytest.fixture
def server(monkeypatch):
    running = shared_seaweedfs()
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    return running


@pytest.fixture
def client(server):
    """What another program uses: not our code."""
    made = boto3.client("s3", endpoint_url=server.endpoint_url, region_name="us-east-1")
    if BUCKET not in [bucket["Name"] for bucket in made.list_buckets()["Buckets"]]:
        made.create_bucket(Bucket=BUCKET)
    return made


@pytest.fixture
def proxy(server):
    with Proxy(server.endpoint_url) as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def prefix():
    return uuid4().hex


@pytest.fixture
def store(client, proxy, prefix):
    return S3Store(BUCKET, prefix, endpoint_url=proxy.endpoint_url)


@pytest.fixture
def store_in_parts(client, proxy, prefix):
    return S3Store(BUCKET, prefix, endpoint_url=proxy.endpoint_url, multipart_size_bytes=0)


def read(store, key=KEY):
    with store.open(key) as stream:
        return stream.read()


def test_an_object_whose_answer_was_lost_is_found_and_is_success(store, proxy):
    proxy.faults["PUT"].append("lose answer")
    store.put(KEY, b"content")
    assert not proxy.faults["PUT"]
    assert read(store) == b"content"


@pytest.mark.parametrize("fault", ["lose request", "refuse"])
def test_a_request_that_failed_in_passing_is_made_again(store, proxy, fault):
    proxy.faults["PUT"].extend([fault] * 2)
    proxy.faults["HEAD"].append(fault)
    store.put(KEY, b"content")
    assert not any(proxy.faults.values())
    assert read(store) == b"content"


def test_another_object_is_found_where_the_request_was_lost(store, proxy):
    store.put(KEY, b"first")
    proxy.faults["PUT"].append("lose request")
    with pytest.raises(ObjectExists):
        store.put(KEY, b"other")
    assert read(store) == b"first"


def test_a_request_that_is_always_lost_is_no_success(store, proxy):
    proxy.faults["PUT"].extend(["lose request"] * 100)
    with pytest.raises(StoreUnavailable):
        store.put(KEY, b"content")
    with pytest.raises(ObjectNotFound):
        store.stat(KEY)


def test_an_answer_that_breaks_off_is_asked_for_again(store, proxy):
    content = os.urandom(300_000)
    store.put(KEY, content)
    proxy.faults["GET"].extend(["cut", "cut"])
    assert read(store) == content
    assert not proxy.faults["GET"]


def test_answers_that_always_break_off_are_an_error(store, proxy):
    store.put(KEY, os.urandom(300_000))
    proxy.faults["GET"].extend(["cut"] * 100)
    with pytest.raises(StoreUnavailable):
        store.read_range(KEY, 0, 300_000)


def test_an_object_in_parts_whose_last_answer_was_lost_is_found_and_is_success(store_in_parts, proxy):
    proxy.faults["POST"].extend(
        [None, "lose answer"]
    )  # the first begins the upload, the second joins the parts
    store_in_parts.put(KEY, b"content")
    assert read(store_in_parts) == b"content"


def test_an_upload_in_parts_that_fails_leaves_no_parts(store_in_parts, proxy, client, prefix):
    proxy.faults["POST"].extend([None, *["lose request"] * 2] * 4)
    with pytest.raises(StoreUnavailable):
        store_in_parts.put(KEY, b"content")
    assert "Uploads" not in client.list_multipart_uploads(Bucket=BUCKET, Prefix=prefix)
    assert list(store_in_parts.list()) == []


def test_an_object_that_is_there_is_not_sent_in_parts_again(store_in_parts, proxy):
    store_in_parts.put(KEY, b"content")
    proxy.faults["PUT"].append("lose request")
    store_in_parts.put(KEY, b"content")
    assert proxy.faults["PUT"]  # no request has met it


def test_parts_are_not_joined_over_an_object_that_came_meanwhile(store_in_parts, proxy, client, prefix):
    def put_another():
        client.put_object(Bucket=BUCKET, Key=f"{prefix}/{KEY}", Body=b"another")

    proxy.faults["POST"].extend([None, put_another])
    with pytest.raises(ObjectExists):
        store_in_parts.put(KEY, b"content")
    assert read(store_in_parts) == b"another"


def test_old_uploads_are_abandoned_and_young_ones_are_not(store, client, prefix):
    client.create_multipart_upload(Bucket=BUCKET, Key=f"{prefix}/{KEY}")
    client.create_multipart_upload(Bucket=BUCKET, Key=f"not-{prefix}/{KEY}")
    assert store.remove_abandoned(older_than_s=3600) == 0
    assert store.remove_abandoned(older_than_s=0) == 1
    assert store.remove_abandoned(older_than_s=0) == 0
    others = client.list_multipart_uploads(Bucket=BUCKET, Prefix=f"not-{prefix}")["Uploads"]
    assert len(others) == 1


def test_an_object_that_another_program_put_is_compared_by_its_bytes(store, client, prefix):
    client.put_object(Bucket=BUCKET, Key=f"{prefix}/{KEY}", Body=b"restored")
    store.put(KEY, b"restored")
    with pytest.raises(ObjectExists):
        store.put(KEY, b"RESTORED")


def test_what_another_program_put_under_no_key_is_not_listed(store, client, prefix):
    for name in ("folder/", ".hidden/x", "white space"):
        client.put_object(Bucket=BUCKET, Key=f"{prefix}/{name}", Body=b"")
    store.put(KEY, b"content")
    assert [stat.key for stat in store.list()] == [KEY]


def test_a_server_that_would_overwrite_fails_the_check(store, proxy):
    proxy.faults["PUT"].extend([None, "pretend"])
    with pytest.raises(StoreUnavailable, match="If-None-Match"):
        store.check()


def test_a_server_that_nobody_runs_is_unavailable(server):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, and not listening
        url = f"s3://bucket?endpoint_url=http://127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(StoreUnavailable, match="Could not connect"):
            open_store(url)


def test_a_bucket_that_is_missing_is_told_of_and_made_only_on_request(server):
    bucket = f"new-{uuid4().hex}"
    url = f"s3://{bucket}?endpoint_url={server.endpoint_url}"
    with pytest.raises(StoreUnavailable, match="create_bucket=true"):
        open_store(url)
    open_store(f"{url}&create_bucket=true").put(KEY, b"content")
    assert read(open_store(url)) == b"content"


def test_where_the_bucket_is_gone_no_object_is_said_to_be_absent(server):
    store = S3Store("never-was", endpoint_url=server.endpoint_url)
    for call in (
        lambda: store.stat(KEY),
        lambda: store.open(KEY),
        lambda: store.read_range(KEY, 0, 1),
        lambda: store.put(KEY, b"content"),
        lambda: store.delete(KEY),
        lambda: list(store.list()),
        lambda: store.remove_abandoned(0),
        store.check,
    ):
        with pytest.raises(StoreUnavailable):
            call()


def test_wrong_credentials_are_refused(server, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(StoreUnavailable, match="403"):
        open_store(server.store_url(BUCKET))


def test_missing_credentials_are_told_of_with_the_names_of_the_variables(server, monkeypatch, tmp_path):
    for name in server.environment:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "absent"))
    with pytest.raises(StoreUnavailable, match="AWS_ACCESS_KEY_ID"):
        open_store(server.store_url(BUCKET))
