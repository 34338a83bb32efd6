"""A seekable stream over ranges, against one in memory."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.s3_reader import S3Reader

CONTENT = bytes(range(256)) * 4

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(-1, 1500)),
        st.tuples(st.just("seek"), st.integers(0, 1500), st.just(io.SEEK_SET)),
        st.tuples(st.just("seek"), st.integers(0, 300), st.just(io.SEEK_CUR)),
        st.tuples(st.just("seek"), st.integers(-len(CONTENT), 100), st.just(io.SEEK_END)),
        st.tuples(st.just("tell")),
        st.just(("read",)),
    ),
    max_size=12,
)


class Ranges:
    """Serves ranges of the content and remembers which."""

    def __init__(self):
        self.asked = []

    def __call__(self, offset, size_bytes):
        self.asked.append((offset, size_bytes))
        return CONTENT[offset : offset + size_bytes]


def open_reader(ranges, start_size_bytes=100):
    return S3Reader(ranges, len(CONTENT), CONTENT[:start_size_bytes])


@given(STEPS, st.integers(0, len(CONTENT)), st.integers(1, 500))
def test_it_reads_what_a_stream_in_memory_reads(steps, start_size_bytes, buffer_bytes):
    model = io.BytesIO(CONTENT)
    with io.BufferedReader(open_reader(Ranges(), start_size_bytes), buffer_bytes) as stream:
        for name, *arguments in steps:
            assert getattr(stream, name)(*arguments) == getattr(model, name)(*arguments)


def test_what_came_with_the_size_is_not_asked_for_again():
    ranges = Ranges()
    reader = open_reader(ranges)
    assert reader.read(60) + reader.read(60) == CONTENT[:100]
    assert ranges.asked == []
    assert reader.read(60) == CONTENT[100:160]
    assert ranges.asked == [(100, 60)]


def test_the_rest_is_one_request():
    ranges = Ranges()
    assert open_reader(ranges).readall() == CONTENT
    assert ranges.asked == [(100, len(CONTENT) - 100)]


def test_nothing_is_asked_for_behind_the_end():
    ranges = Ranges()
    reader = open_reader(ranges)
    reader.seek(10, io.SEEK_END)
    assert reader.read(10) == reader.readall() == b""
    assert ranges.asked == []


def test_a_position_before_the_start_is_refused():
    with pytest.raises(ValueError, match="negative"):
        open_reader(Ranges()).seek(-1)
