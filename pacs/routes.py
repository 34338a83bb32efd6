"""Routes: checked before they are kept, and asked which of them lead what has come to a peer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Final

from pacs.codes.rules import compile_wildcard
from pacs.daily_hours import parse_daily_hours
from pacs.dicom.ae_titles import parse_ae_title
from pacs.errors import InvalidRequest
from pacs.index.known_routes import KnownRoute, SeriesTraits
from pacs.text import fold

MOST_QUIET_S: Final = 24 * 3600
MOST_CONDITIONS: Final = 64
MOST_LENGTH: Final = 64
MOST_PRIORS: Final = 20
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_MOST_PRIORITY: Final = 9


@dataclass(frozen=True, slots=True)
class Arrival:
    """An instance that has come: what routes ask of its series, who sent it, and when, in local time."""

    traits: SeriesTraits
    calling_ae_title: str | None
    at: datetime


def check_route(route: KnownRoute) -> KnownRoute:
    """Return a route that can be kept, as it is written best.

    Raises
    ------
    InvalidRequest
        A value is not of its form; the message tells what.
    """
    if not _NAME.fullmatch(route.name):
        raise InvalidRequest("the name of a route is of letters, digits, points, - and _, 64 at most")
    if parse_ae_title(route.ae_title) != route.ae_title:
        raise InvalidRequest("the AE title of a peer has no spaces around it")
    if not 0 <= route.quiet_s <= MOST_QUIET_S:
        raise InvalidRequest(f"a study is waited for {MOST_QUIET_S} seconds at most")
    others = (route.calling_ae_titles, route.station_names, route.body_parts, route.institutions)
    if not 0 <= route.priors <= MOST_PRIORS or (route.priors and any(map(any, others))):
        raise InvalidRequest(
            f"a route for orders is for {MOST_PRIORS} studies at most, by modality and hours"
        )
    if route.fetches and (not route.priors or route.priority):
        raise InvalidRequest("a route that fetches tells how many previous studies, and has no priority")
    if abs(route.priority) > _MOST_PRIORITY:
        raise InvalidRequest(f"a priority is from -{_MOST_PRIORITY} to {_MOST_PRIORITY}")
    return replace(
        route,
        modalities=_checked(route.modalities),
        calling_ae_titles=_checked(route.calling_ae_titles),
        station_names=_checked(route.station_names),
        body_parts=_checked(route.body_parts),
        institutions=_checked(route.institutions),
        hours=None if route.hours is None else str(parse_daily_hours(route.hours)),
    )


def leads(route: KnownRoute, arrival: Arrival) -> bool:
    """Tell whether an instance fulfils all conditions of a route.

    Text is compared blind to case and diacritics; ``*`` and ``?`` stand for any text and any character. What
    the peer itself has sent is never led back to it.
    """
    traits, sender = arrival.traits, arrival.calling_ae_title
    return (
        not route.priors
        and sender != route.ae_title
        and (route.created_at is None or arrival.at >= route.created_at)
        and _fits(route.modalities, traits.modality)
        and _fits(route.calling_ae_titles, sender)
        and _fits(route.station_names, traits.station_name)
        and _fits(route.body_parts, traits.body_part)
        and _fits(route.institutions, traits.institution)
        and (route.hours is None or parse_daily_hours(route.hours).contain(arrival.at.time()))
    )


def wants_priors(route: KnownRoute, modalities: Sequence[str], at: datetime) -> bool:
    """Tell whether a route is for orders of these modalities, at this local time."""
    return (
        route.priors > 0
        and (route.created_at is None or at >= route.created_at)
        and (not route.modalities or any(_fits(route.modalities, one) for one in modalities))
        and (route.hours is None or parse_daily_hours(route.hours).contain(at.time()))
    )


def _fits(patterns: Sequence[str], value: str | None) -> bool:
    """Tell whether one of the patterns fits; where there is none, anything does. None fits nothing."""
    if not patterns:
        return True
    folded = fold(value or "")
    return bool(folded) and any(_compiled(pattern).fullmatch(folded) for pattern in patterns)


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return compile_wildcard(pattern)


def _checked(conditions: Iterable[str]) -> tuple[str, ...]:
    """Drop what is empty or there twice. A backslash is between values, and a control character in none."""
    kept = tuple(dict.fromkeys(one.strip() for one in conditions if one.strip()))
    if len(kept) > MOST_CONDITIONS or any(len(one) > MOST_LENGTH for one in kept):
        raise InvalidRequest(f"a condition has at most {MOST_CONDITIONS} values of {MOST_LENGTH} characters")
    if any("\\" in one or not one.isprintable() for one in kept):
        raise InvalidRequest("a value of a condition has no backslash and no control character")
    return kept
