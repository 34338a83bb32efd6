"""Routes: which studies are sent to which peer as they come, and how far in the ledger that is decided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, and_, delete, func, or_, select, update

from pacs.errors import InvalidRequest, NotFound
from pacs.index.engine import reading, writing
from pacs.index.inserts import insert_if_new
from pacs.index.ledger_cursors import move_cursor
from pacs.index.ledger_rows import last_number
from pacs.index.models import route, route_cursor, series, study
from pacs.index.moments import utc
from pacs.index.prior_fetches import FetchWish, wish_fetch
from pacs.index.selection import of_patient
from pacs.index.send_jobs import SendWish, wake

_LISTS: Final = ("modalities", "calling_ae_titles", "station_names", "body_parts", "institutions")
_AT_A_TIME: Final = 200  # series in one statement


@dataclass(frozen=True, slots=True)
class KnownRoute:
    """A rule: a study of which an instance fulfils all conditions is sent to a peer.

    Of a list one has to fit; none at all: any value. ``hours``: it came then (`pacs.daily_hours`). The study
    is sent when nothing has come for ``quiet_s`` seconds. ``priority``: the highest goes first.

    With ``priors`` it is another rule: when an examination is ordered, so many of the patient's studies, the
    newest, are sent to the peer; where it ``fetches``, so many of those that the peer has come from there. Of
    the conditions modalities and hours count then, those of the order.
    """

    name: str
    ae_title: str  # of the peer
    modalities: tuple[str, ...] = ()
    calling_ae_titles: tuple[str, ...] = ()  # of the sender
    station_names: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()
    institutions: tuple[str, ...] = ()
    hours: str | None = None
    quiet_s: int = 60
    priority: int = 0
    priors: int = 0
    fetches: bool = False
    created_at: datetime | None = None  # what came earlier is not its business; set when it is added


class SeriesName(NamedTuple):
    """A series inside its study."""

    study_instance_uid: str
    series_instance_uid: str


@dataclass(frozen=True, slots=True)
class SeriesTraits:
    """What routes ask of a series."""

    modality: str | None
    station_name: str | None
    body_part: str | None
    institution: str | None


@dataclass(frozen=True, slots=True)
class Routed:
    """A study that is to be sent, not before a time."""

    wish: SendWish
    due: datetime


class Fetched(NamedTuple):
    """Previous studies that are to be fetched, not before a time."""

    wish: FetchWish
    due: datetime


class KnownRoutes:
    """The table of routes. All methods raise :class:`~pacs.errors.IndexUnavailable`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list_all(self) -> list[KnownRoute]:
        """List all routes by their names."""
        with reading(self._engine) as connection:
            return [_known_route(row) for row in connection.execute(select(route).order_by(route.c.name))]

    def find(self, name: str) -> KnownRoute:
        """Find a route. Raises NotFound."""
        with reading(self._engine) as connection:
            row = connection.execute(select(route).where(route.c.name == name)).first()
        if row is None:
            raise _unknown(name)
        return _known_route(row)

    def add(self, added: KnownRoute, now: datetime) -> None:
        """Add a route, for what comes from now on.

        Raises
        ------
        InvalidRequest
            Its name is taken.
        """
        with writing(self._engine) as connection:
            if not _insert(connection, added, now):
                raise InvalidRequest(f"there is a route {added.name} already")

    def put(self, wanted: KnownRoute, now: datetime) -> bool:
        """Add a route, or put it in place of the one of its name; tell whether it is a new one."""
        with writing(self._engine) as connection:
            if _insert(connection, wanted, now):
                return True
            connection.execute(update(route).where(route.c.name == wanted.name).values(_row(wanted)))
            return False

    def remove(self, name: str) -> None:
        """Forget a route; jobs that it made go on. Raises NotFound."""
        with writing(self._engine) as connection:
            gone = delete(route).where(route.c.name == name).returning(route.c.id)
            if connection.scalar(gone) is None:
                raise _unknown(name)

    def cursor(self) -> int:
        """Return the number of the last entry of the ledger that was looked at."""
        with reading(self._engine) as connection:
            return connection.scalar(select(route_cursor.c.sequence)) or 0

    def advance(
        self,
        before: int,
        after: int,
        routed: Iterable[Routed],
        now: datetime,
        fetched: Iterable[Fetched] = (),
    ) -> bool:
        """Move the cursor on, and have studies sent and fetched, all or nothing.

        Returns
        -------
        bool
            False, and nothing is done, if another process was faster.
        """
        with writing(self._engine) as connection:
            if not move_cursor(connection, route_cursor, before, after):
                return False
            for one in routed:
                wake(connection, one.wish, one.due, now)
            for fetch in fetched:
                wish_fetch(connection, fetch.wish, fetch.due)
            return True

    def newest_studies(self, patient_id: str, issuer: str | None, count: int) -> list[str]:
        """List the Study Instance UIDs of a patient, the newest first.

        Where both say who has given the Patient ID, it has to be the same.
        """
        wanted = select(study.c.study_instance_uid).where(*of_patient(patient_id))
        if issuer is not None:
            theirs = study.c.issuer_of_patient_id
            wanted = wanted.where(or_(theirs.is_(None), theirs == issuer))
        wanted = wanted.order_by(study.c.moment.desc(), study.c.id.desc()).limit(count)
        with reading(self._engine) as connection:
            return list(connection.scalars(wanted))

    def traits(self, names: Iterable[SeriesName]) -> Mapping[SeriesName, SeriesTraits]:
        """Tell what routes ask of series; of those that there are."""
        wanted = list(dict.fromkeys(names))
        found: dict[SeriesName, SeriesTraits] = {}
        with reading(self._engine) as connection:
            for begin in range(0, len(wanted), _AT_A_TIME):
                part = _TRAITS.where(or_(*map(_is, wanted[begin : begin + _AT_A_TIME])))
                for study_uid, series_uid, *traits in connection.execute(part):
                    found[SeriesName(study_uid, series_uid)] = SeriesTraits(*traits)
        return found


def _insert(connection: Connection, added: KnownRoute, now: datetime) -> bool:
    """Insert a route; the first of all begins at the end of the ledger."""
    if not connection.scalar(select(func.count()).select_from(route)):
        connection.execute(update(route_cursor).values(sequence=last_number(connection)))
    return insert_if_new(connection, route, {**_row(added), "created_at": now})


def _is(name: SeriesName) -> Any:
    return and_(
        study.c.study_instance_uid == name.study_instance_uid,
        series.c.series_instance_uid == name.series_instance_uid,
    )


def _unknown(name: str) -> NotFound:
    return NotFound(f"there is no route {name}")


def _row(known: KnownRoute) -> dict[str, Any]:
    row = {field.name: getattr(known, field.name) for field in fields(known) if field.name != "created_at"}
    return row | {name: "\\".join(row[name]) for name in _LISTS}


def _known_route(row: Any) -> KnownRoute:
    values = {field.name: getattr(row, field.name) for field in fields(KnownRoute)}
    lists = {name: tuple(one for one in values[name].split("\\") if one) for name in _LISTS}
    return KnownRoute(**(values | lists | {"created_at": utc(row.created_at)}))


_TRAITS: Final = select(
    study.c.study_instance_uid,
    series.c.series_instance_uid,
    series.c.modality,
    series.c.station_name,
    series.c.body_part_examined,
    study.c.institution_name,
).select_from(study.join(series))
