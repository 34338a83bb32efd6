"""Instances of the demonstration for the tests: the first of every series, made once in a process."""

from functools import cache
from itertools import islice

from pacs.demo.studies import demo_studies

STUDIES = {study.order.accession_number: study for study in demo_studies()}


@cache
def first_of_each_series(accession_number):
    """Data sets by Series Number."""
    found = {}
    for instance in STUDIES[accession_number].instances():
        found.setdefault(int(instance.SeriesNumber), instance)
        if len(found) == (2 if instance.Modality == "MR" and accession_number == "MR261119004" else 1):
            break
    return found


def first(accession_number):
    return next(iter(first_of_each_series(accession_number).values()))


def make_again(accession_number, count):
    """The first ``count`` data sets of the study, made anew."""
    return list(islice(STUDIES[accession_number].instances(), count))
