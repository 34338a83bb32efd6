import pytest

from pacs.cli.progress import Pace, Progress, showing_progress, told_size


def test_a_line_tells_rate_and_time_left():
    pace = Pace("files")
    pace.line(0.0, Progress(0, 0, total_bytes=1_000_000_000))
    line = pace.line(10.0, Progress(1000, 100_000_000, total_bytes=1_000_000_000))
    assert line == "1,000 files, 100.0 MB of 1.0 GB, 100 files/s, 10.0 MB/s, 0:01:30 left"


def test_the_time_left_follows_the_rate_of_the_last_half_minute():
    pace = Pace("objects")
    for second in range(0, 101, 10):  # slow for a minute, then fast
        done = second if second <= 60 else 60 + (second - 60) * 10
        line = pace.line(float(second), Progress(done, 0, total_items=1060))
    assert line.endswith("10 objects/s, 0 bytes/s, 0:01:00 left")


def test_the_time_left_is_told_as_soon_as_the_total_is_known():
    pace = Pace("files")
    pace.line(0.0, Progress(0, 0))
    assert pace.line(1.0, Progress(5, 50, total_bytes=100)).endswith("0:00:01 left")


def test_nothing_is_promised_while_the_total_is_unknown_or_nothing_moves():
    pace = Pace("files")
    pace.line(0.0, Progress(0, 0))
    assert "unknown time left" in pace.line(1.0, Progress(5, 50))
    still = Pace("files")
    still.line(0.0, Progress(5, 50, total_bytes=100))
    assert "unknown time left" in still.line(1.0, Progress(5, 50, total_bytes=100))


def test_an_empty_total_is_done():
    assert Progress(0, 0, total_bytes=0).fraction == 1.0
    assert Progress(0, 0, total_items=0).fraction == 1.0


@pytest.mark.parametrize(
    ("size_bytes", "told"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1500, "2 kB"),
        (5.3e8, "530.0 MB"),
        (2e9, "2.0 GB"),
        (3.1e15, "3,100.00 TB"),
    ],
)
def test_sizes_are_told_as_people_say_them(size_bytes, told):
    assert told_size(size_bytes) == told


def test_the_display_ends_with_its_block_also_when_that_fails():
    with pytest.raises(ValueError, match="inside"), showing_progress(lambda: Progress(1, 1), "files"):
        raise ValueError("inside")
