"""How a study gets its national code: from the data set, or else by a rule of the site."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from pacs.codes.rules import CodeRule, compile_wildcard
from pacs.codes.tables import CodeEntry, CodeTable, load_table
from pacs.errors import SettingsError
from pacs.text import fold

# LO has 64 characters, SH has 16 (PS3.5 6.2). What is longer is broken or hostile: rules see its beginning.
_LONGEST_TEXT: Final = 256

# The instances of a series all ask the same of the rules. Made up to be long, these are 6 MB.
_REMEMBERED_EXAMS: Final = 1024


@dataclass(frozen=True, slots=True)
class DatasetCode:
    """A code as a data set has it: Code Value or Long Code Value, Coding Scheme Designator, Code Meaning."""

    value: str
    scheme: str | None = None
    meaning: str | None = None


@dataclass(frozen=True, slots=True)
class TaggedCode:
    """A national code of a study. ``meaning`` is the table's name in full, perhaps longer than LO allows."""

    value: str
    scheme: str
    meaning: str
    origin: Literal["sequence", "rule"]


@dataclass(frozen=True, slots=True)
class _ReadyRule:
    """A rule with its patterns compiled and its code looked up."""

    entry: CodeEntry
    modality: str | None
    station: re.Pattern[str] | None
    description: re.Pattern[str] | None

    def matches(self, modality: str, station_name: str, descriptions: Sequence[str]) -> bool:
        """Tell whether folded text fulfils every condition; absent text is empty and fulfils none."""
        return (
            (self.modality is None or self.modality == modality)
            and (self.station is None or bool(station_name and self.station.fullmatch(station_name)))
            and (
                self.description is None
                or any(text and self.description.fullmatch(text) for text in descriptions)
            )
        )


class StudyTagger:
    """Gives a study its national codes. Immutable; safe for use by several threads."""

    def __init__(self, table: CodeTable, rules: Iterable[CodeRule] = ()) -> None:
        self._table = table
        self._rules = tuple(_make_ready(rule, number, table) for number, rule in enumerate(rules, start=1))
        self._tag_by_rule = lru_cache(_REMEMBERED_EXAMS)(self._find_rule)

    def tag(
        self,
        codes_in_dataset: Sequence[DatasetCode],
        *,
        modality: str | None = None,
        station_name: str | None = None,
        study_description: str | None = None,
        series_description: str | None = None,
        requested_procedure_description: str | None = None,
        protocol_name: str | None = None,
    ) -> list[TaggedCode]:
        """Find the national codes of an exam.

        Codes of the data set that the table knows win, and all of them count. Only where there is none do the
        rules of the site speak; the first that matches gives its code.

        A code value counts under the designator ``99BYT``, under any other private or local one (``99...``,
        ``L``), since sites named theirs before us, and under none. It never counts under the designator of a
        standard scheme (DCM, SCT, LN ...): there the same characters mean something else.

        Parameters
        ----------
        codes_in_dataset : sequence of DatasetCode
            The items of Procedure Code Sequence (0008,1032), of Requested Procedure Code Sequence
            (0032,1064), and of that sequence and Scheduled Protocol Code Sequence (0040,0008) inside the
            items of Request Attributes Sequence (0040,0275), in this order.
        modality, station_name, study_description, series_description : str, optional
            The attributes of these names.
        requested_procedure_description, protocol_name : str, optional
            (0032,1060) and (0018,1030): descriptions too, which some modalities fill instead.

        Returns
        -------
        list of TaggedCode
            Each code once, in the order found; empty where nothing is known.

        References
        ----------
        PS3.3 8.2 (private designators), PS3.3 8.8 (code sequence macro).
        """
        if codes_in_dataset:
            found = (self._table.lookup(c.value) for c in codes_in_dataset if is_local_scheme(c.scheme))
            entries = dict.fromkeys(entry for entry in found if entry is not None)
            if entries:
                return [self._tagged(entry, "sequence") for entry in entries]
        if not self._rules:
            return []
        tagged = self._tag_by_rule(
            _beginning(modality),
            _beginning(station_name),
            _beginning(study_description),
            _beginning(series_description),
            _beginning(requested_procedure_description),
            _beginning(protocol_name),
        )
        return [tagged] if tagged else []

    def find_code(self, value: str, scheme: str | None) -> TaggedCode | None:
        """Find the national code that is named, under any designator that counts (see `tag`)."""
        entry = self._table.lookup(value) if is_local_scheme(scheme) else None
        return None if entry is None else self._tagged(entry, "sequence")

    def _find_rule(self, modality: str, station_name: str, *descriptions: str) -> TaggedCode | None:
        """Find the first rule that an exam fulfils."""
        modality, station_name = fold(modality), fold(station_name)
        folded = [fold(text) for text in descriptions]
        for rule in self._rules:
            if rule.matches(modality, station_name, folded):
                return self._tagged(rule.entry, "rule")
        return None

    def _tagged(self, entry: CodeEntry, origin: Literal["sequence", "rule"]) -> TaggedCode:
        return TaggedCode(value=entry.value, scheme=self._table.scheme, meaning=entry.name, origin=origin)


def load_tagger(rules: Iterable[CodeRule]) -> StudyTagger:
    """Make a tagger of the shipped table and the rules of the site.

    Raises
    ------
    pacs.errors.SettingsError
        A rule gives a code that the table does not have.
    """
    return StudyTagger(load_table(), rules)


def is_local_scheme(designator: str | None) -> bool:
    """Tell whether a coding scheme designator is private, local, or absent.

    References
    ----------
    PS3.3 8.2: designators beginning with ``99``, and ``L``, are private or local.
    """
    designator = (designator or "").strip().upper()
    return not designator or designator == "L" or designator.startswith("99")


def _make_ready(rule: CodeRule, number: int, table: CodeTable) -> _ReadyRule:
    entry = table.lookup(rule.code)
    if entry is None:
        raise SettingsError(
            f"code_rules: rule {number} gives the code {rule.code}, which the table of codes does not have"
        )
    return _ReadyRule(
        entry=entry,
        modality=None if rule.modality is None else fold(rule.modality),
        station=None if rule.station is None else compile_wildcard(rule.station),
        description=None if rule.description is None else compile_wildcard(rule.description),
    )


def _beginning(text: str | None) -> str:
    return text[:_LONGEST_TEXT] if text else ""
