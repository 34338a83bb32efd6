import threading

from pacs.index.objects import IndexedObject, ObjectCursor
from pacs.jobs.sweep import MAX_FAULTS
from pacs.jobs.verify import MAX_BATCH_BYTES, RateLimit, VerifyReport, cut_batch


def an_object(number, size_bytes=1):
    return IndexedObject(ObjectCursor(0, number), f"1.2.{number}", f"key{number}", size_bytes, "00")


class Pauses(threading.Event):
    """Notes how long it would have been waited."""

    def __init__(self):
        super().__init__()
        self.waited_s = []

    def wait(self, timeout=None):
        self.waited_s.append(timeout)
        return False


def test_bytes_pass_at_the_rate():
    pauses = Pauses()
    rate = RateLimit(1000.0, pauses)
    for _ in range(10):
        rate.spend(500)
    assert 4.5 < pauses.waited_s[-1] <= 5.0  # ten pieces of half a second each, and nobody has waited yet
    assert pauses.waited_s == sorted(pauses.waited_s)


def test_without_a_rate_nobody_waits():
    pauses = Pauses()
    RateLimit(None, pauses).spend(10**12)
    assert pauses.waited_s == []


def test_a_batch_holds_a_quarter_gigabyte_or_one_object():
    large = MAX_BATCH_BYTES // 2
    assert len(cut_batch([an_object(number, large) for number in range(5)])) == 2
    assert len(cut_batch([an_object(number, 100 * MAX_BATCH_BYTES) for number in range(5)])) == 1
    assert len(cut_batch([an_object(number) for number in range(5)])) == 5
    assert cut_batch([]) == []


def test_faults_are_counted_and_so_many_of_them_named():
    report = VerifyReport()
    for number in range(MAX_FAULTS + 5):
        report.add(an_object(number), "missing")
    report.add(an_object(1), None)
    report.add(an_object(2), "damaged")
    assert (report.missing, report.damaged, report.faulty) == (MAX_FAULTS + 5, 1, MAX_FAULTS + 6)
    assert (report.objects, report.size_bytes, len(report.faults)) == (MAX_FAULTS + 7,) * 2 + (MAX_FAULTS,)
