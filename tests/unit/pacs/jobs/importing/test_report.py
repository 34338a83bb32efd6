import json

from pacs.jobs.importing.report import MAX_REASONS, FileReport, ImportReport, Outcome, ReportFile


def test_outcomes_reasons_and_sizes_are_counted():
    report = ImportReport()
    report.add(FileReport("a", Outcome.STORED, corrected=True), 10)
    report.add(FileReport("b", Outcome.REFUSED, "too large"), 5)
    report.add(FileReport("c", Outcome.REFUSED, "too large"), 5)
    assert report.outcomes == {Outcome.STORED: 1, Outcome.REFUSED: 2}
    assert report.reasons == {"too large": 2}
    assert (report.corrected, report.done_files, report.done_bytes) == (1, 3, 20)


def test_made_up_reasons_do_not_fill_the_memory():
    report = ImportReport()
    for number in range(MAX_REASONS + 500):
        report.add(FileReport("a", Outcome.REFUSED, str(number)), 0)
    assert len(report.reasons) == MAX_REASONS + 1
    assert report.reasons.total() == MAX_REASONS + 500


def test_a_line_is_json_whatever_the_name_is():
    line = FileReport("Đức\udce9\n.dcm", Outcome.REFUSED, "cut short").line()
    assert line.count("\n") == 1
    assert json.loads(line) == {"file": "Đức�\n.dcm", "outcome": "refused", "reason": "cut short"}


def test_a_report_goes_on_behind_what_an_earlier_run_wrote(tmp_path):
    path = tmp_path / "report.jsonl"
    path.write_bytes(b'{"file": "a"}\n{"file": "b')
    with ReportFile(path) as report:
        report.write('{"file": "c"}\n')
    with ReportFile(path) as report:
        report.write('{"file": "d"}\n')
    assert path.read_text().splitlines() == ['{"file": "a"}', '{"file": "b', '{"file": "c"}', '{"file": "d"}']
