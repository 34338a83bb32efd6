"""The tables of the index. SQLAlchemy Core only: one row class would cost more than the row."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from pacs.dicom.attributes import ATTRIBUTES, Level, Matching
from pacs.dicom.worklist_attributes import Part, attributes_of

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

FOLDED_SUFFIX = "_folded"
FOLDED = frozenset({Matching.PERSON_NAME, Matching.FOLDED_TEXT})  # what is compared by a folded twin
_BIG_ID = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts by itself only an INTEGER key
# Ranges of terms are those of their bytes, whatever language the database sorts in.
_COMPARED_BY_BYTES = Text().with_variant(Text(collation="C"), "postgresql")
# Writers of other processes know studies and series for a while (`pacs.index.parents`). Were a key that
# became free given to another study, as SQLite does, one patient's images would be indexed there.
_KEYS_NEVER_GIVEN_TWICE: dict[str, Any] = {"sqlite_autoincrement": True}


def _key() -> Column[int]:
    return Column("id", _BIG_ID, Identity(), primary_key=True)


def _reference(name: str, target: str) -> Column[int]:
    return Column(name, _BIG_ID, ForeignKey(f"{target}.id", ondelete="CASCADE"), nullable=False)


def _attribute_columns(level: Level) -> list[Column[Any]]:
    """Columns of the attributes read from data sets, and the folded twins of what people search by."""
    columns: list[Column[Any]] = []
    for attribute in ATTRIBUTES:
        if attribute.level is level and not attribute.derived:
            kind: type[Integer | Text] = Integer if attribute.vr in ("IS", "US") else Text
            columns.append(Column(attribute.column, kind, nullable=attribute.matching is not Matching.UID))
            if attribute.matching in FOLDED:
                columns.append(Column(attribute.column + FOLDED_SUFFIX, Text))
    return columns


def _worklist_columns(part: Part) -> list[Column[Any]]:
    """Columns of an order or a step, and their folded twins; several values have a backslash between them."""
    columns: list[Column[Any]] = []
    for attribute in attributes_of(part):
        kind: type[Integer | Text] = Integer if attribute.vr == "US" else Text
        columns.append(Column(attribute.field, kind, nullable=attribute.field not in _NEVER_MISSING))
        if attribute.is_folded:
            columns.append(Column(attribute.field + FOLDED_SUFFIX, Text))
    return columns


_NEVER_MISSING = frozenset(
    {
        "accession_number", "study_instance_uid", "requested_procedure_id", "patient_id", "patient_name",
        "modality", "start_date", "start_time", "step_id", "state",
    }
)  # fmt: skip


# One row for each (issuer, patient ID). What a study said of its patient stays with the study: two people
# under one ID must never borrow each other's name.
patient = Table(
    "patient",
    metadata,
    _key(),
    Column("patient_key", Text, nullable=False, unique=True),
    Column("patient_id", Text),
    Column("issuer_of_patient_id", Text),
)

study = Table(
    "study",
    metadata,
    _key(),
    _reference("patient_ref", "patient"),
    *_attribute_columns(Level.STUDY),
    # what its series and instances are of; several values have a backslash between them
    Column("modalities_in_study", Text),
    Column("sop_classes_in_study", Text),
    Column("number_of_series", Integer, nullable=False, server_default="0"),
    Column("number_of_instances", Integer, nullable=False, server_default="0"),
    # date and time as one number, YYYYMMDDHHMMSS, 0 without a date: searches answer in its order
    Column("moment", BigInteger, nullable=False, server_default="0"),
    Column("received_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("study_instance_uid"),
    **_KEYS_NEVER_GIVEN_TWICE,
)
Index(None, study.c.patient_ref)
Index(None, study.c.moment.desc(), study.c.id.desc())

# What a study is found by, one row for each word or value (``pacs/index/study_terms.py``). The key has the
# studies of one term in the order of the answers, so that the newest of a million are read and no others.
study_term = Table(
    "study_term",
    metadata,
    Column("field", SmallInteger, nullable=False),
    Column("term", _COMPARED_BY_BYTES, nullable=False),
    Column("moment", BigInteger, nullable=False),  # that of the study
    _reference("study_ref", "study"),
    PrimaryKeyConstraint("field", "term", "moment", "study_ref"),
    sqlite_with_rowid=False,
)
Index(None, study_term.c.study_ref)

# Every word that is, or once was, a term of a field of words: a pattern is looked up here first.
search_word = Table(
    "search_word",
    metadata,
    Column("field", SmallInteger, nullable=False),
    Column("word", _COMPARED_BY_BYTES, nullable=False),
    PrimaryKeyConstraint("field", "word"),
    sqlite_with_rowid=False,
)

# A Series Instance UID is unique by the Standard and repeated by devices: it counts inside its study.
series = Table(
    "series",
    metadata,
    _key(),
    _reference("study_ref", "study"),
    *_attribute_columns(Level.SERIES),
    Column("number_of_instances", Integer, nullable=False, server_default="0"),
    UniqueConstraint("study_ref", "series_instance_uid"),
    **_KEYS_NEVER_GIVEN_TWICE,
)
Index(None, series.c.series_instance_uid)

instance = Table(
    "instance",
    metadata,
    _key(),
    _reference("series_ref", "series"),
    *_attribute_columns(Level.INSTANCE),
    Column("transfer_syntax_uid", Text, nullable=False),
    Column("object_key", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("dataset_offset", Integer, nullable=False),
    Column("pixel_data_offset", BigInteger),
    Column("pixel_data_size_bytes", BigInteger),
    Column("calling_ae_title", Text),
    Column("received_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("sop_instance_uid"),
)
Index(None, instance.c.series_ref, instance.c.instance_number)

procedure_code = Table(
    "procedure_code",
    metadata,
    _key(),
    _reference("study_ref", "study"),
    Column("value", Text, nullable=False),
    Column("scheme", Text, nullable=False),
    Column("meaning", Text, nullable=False),
    Column("origin", Text, nullable=False),
    UniqueConstraint("study_ref", "value", "scheme"),
)
Index(None, procedure_code.c.value)

request_attributes = Table(
    "request_attributes",
    metadata,
    _key(),
    _reference("series_ref", "series"),
    # not null, since a unique constraint sees two nulls as different
    Column("requested_procedure_id", Text, nullable=False, server_default=""),
    Column("scheduled_procedure_step_id", Text, nullable=False, server_default=""),
    UniqueConstraint("series_ref", "requested_procedure_id", "scheduled_procedure_step_id"),
)
Index(None, request_attributes.c.requested_procedure_id)
Index(None, request_attributes.c.scheduled_procedure_step_id)

# What a person may have to decide: another content under a known SOP Instance UID, or an instance that names
# another patient than the study it belongs to. ``subject`` tells one question from another.
conflict = Table(
    "conflict",
    metadata,
    _key(),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False, unique=True),
    Column("study_instance_uid", Text, nullable=False),
    Column("sop_instance_uid", Text, nullable=False),
    # the content that came with the conflict
    Column("object_key", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("calling_ae_title", Text),
    Column("received_at", DateTime(timezone=True), nullable=False),
    # the content that was current then; none where it is the patient that differs
    Column("first_object_key", Text),
    Column("first_size_bytes", BigInteger),
    Column("first_sha256", Text),
    Column("first_calling_ae_title", Text),
    Column("first_received_at", DateTime(timezone=True)),
    Column("differs", Text, nullable=False),
    # how it was settled; all null while it is open
    Column("kept", Text),
    Column("settled_by", Text),
    Column("settled_at", DateTime(timezone=True)),
)
Index(None, conflict.c.sop_instance_uid)
Index(None, conflict.c.study_instance_uid)

# What was deleted on purpose; its object lies in the store until it was removed, and is not indexed again.
tombstone = Table(
    "tombstone",
    metadata,
    _key(),
    Column("sop_instance_uid", Text, nullable=False),
    Column("object_key", Text, nullable=False, unique=True),
    Column("deleted_at", DateTime(timezone=True), nullable=False),
    Column("removal_began_at", DateTime(timezone=True)),  # of the object, from the store
    Column("removed_at", DateTime(timezone=True)),
)
Index(None, tombstone.c.sop_instance_uid)

# Lines of the ledger (storage/FORMAT.md) that wait to be sealed into the store; written in the transaction
# that they tell of. One row has the lines of one transaction; ``sequence`` is the number of its first one in
# the ledger as a whole, null until somebody has put the committed rows in order (`pacs.index.ledger_rows`).
ledger_entry = Table(
    "ledger_entry",
    metadata,
    _key(),
    Column("lines", Text, nullable=False),
    Column("sequence", BigInteger),
)

# How far this index knows the ledger in the store: number and digest of the last segment, and how many
# entries there are up to its end. One row, always; who changes the order of entries locks it.
ledger_head = Table(
    "ledger_head",
    metadata,
    Column("number", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("entries", BigInteger, nullable=False, server_default="0"),
)

# Which entries a segment begins with, counted from the first of the ledger.
ledger_segment = Table(
    "ledger_segment",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("first_sequence", BigInteger, nullable=False),
)
Index(None, ledger_segment.c.first_sequence)

# Studies were indexed by older software up to ``last``, and their objects were read again up to ``done``
# (``pacs/index/rereading.py``); both are keys of studies. One row, always.
rereading = Table(
    "rereading",
    metadata,
    Column("done", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
)

# The identities of the stores that belong to this index (``pacs/own_stores.py``).
known_store = Table(
    "known_store",
    metadata,
    _key(),
    Column("place", Text, nullable=False, unique=True),
    Column("identity", Text, nullable=False),
)

# The application entities that may call or be called (``pacs/index/known_peers.py``). Lists have a backslash
# between their values.
known_peer = Table(
    "known_peer",
    metadata,
    _key(),
    Column("ae_title", Text, nullable=False, unique=True),
    Column("host", Text),
    Column("port", Integer),
    Column("rights", Text, nullable=False),
    Column("only_from_host", Boolean, nullable=False),
    Column("character_set", Text),
    Column("unaccented", Boolean, nullable=False),
    Column("transfer_syntax_uids", Text, nullable=False),
    Column("tls", Boolean, nullable=False, server_default=false()),
    Column("certificate_sha256", Text),  # in hexadecimal
    Column("send_hours", Text),
    Column("send_bytes_per_s", BigInteger),
    Column("send_at_a_time", Integer, nullable=False, server_default="1"),
    Column("dicomweb_url", Text),
    Column("asks_commitment", Boolean, nullable=False, server_default=false()),
    Column("moves_to", Text, nullable=False, server_default=""),
    Column("wants_availability", Boolean, nullable=False, server_default=false()),
    Column("wants_performed_steps", Boolean, nullable=False, server_default=false()),
    Column("own_worklist_only", Boolean, nullable=False, server_default=false()),
)

# What lies in the spool, on its way to the remote store or kept there for a while (``pacs/jobs/upload.py``).
# The spool's folder is the truth; these rows spare walking it.
spooled_object = Table(
    "spooled_object",
    metadata,
    Column("object_key", Text, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("spooled_at", DateTime(timezone=True), nullable=False),
    Column("uploaded_at", DateTime(timezone=True)),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", DateTime(timezone=True), nullable=False),  # later, while somebody is at it
    Column("last_error", Text),  # name of its class only
    sqlite_with_rowid=False,
)
Index(None, spooled_object.c.uploaded_at, spooled_object.c.next_attempt_at)

# What devices asked to have confirmed (Storage Commitment, PS3.4 J), until they were told and some time on.
storage_commitment = Table(
    "storage_commitment",
    metadata,
    _key(),
    Column("ae_title", Text, nullable=False),
    Column("transaction_uid", Text, nullable=False),
    Column("requested", Text, nullable=False),  # JSON: pairs of SOP Class UID and SOP Instance UID
    Column("requested_at", DateTime(timezone=True), nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", DateTime(timezone=True)),  # later, while somebody is at it; none: never
    Column("told_at", DateTime(timezone=True)),
    UniqueConstraint("ae_title", "transaction_uid"),
)
Index(None, storage_commitment.c.next_attempt_at)

# What was ordered, and is to be examined (``pacs/index/orders.py``). The ledger keeps it, as no image does.
imaging_order = Table(
    "imaging_order",
    metadata,
    _key(),
    *_worklist_columns(Part.ORDER),
    Column("version", Integer, nullable=False),  # counts what was done to the order and its steps
    Column("placed_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("accession_number"),
    **_KEYS_NEVER_GIVEN_TWICE,
)
Index(None, imaging_order.c.patient_id)
Index(None, imaging_order.c.study_instance_uid)
Index(None, imaging_order.c.requested_procedure_id)
Index(None, imaging_order.c.placer_order_number)
Index(None, imaging_order.c.changed_at)

scheduled_step = Table(
    "scheduled_step",
    metadata,
    _key(),
    _reference("order_ref", "imaging_order"),
    *_worklist_columns(Part.STEP),
    Column("place", Integer, nullable=False),  # among the steps of its order
    Column("is_open", Boolean, nullable=False),
    # date and time of its start as one number, YYYYMMDDHHMMSS: worklists are in its order
    Column("moment", BigInteger, nullable=False),
    UniqueConstraint("order_ref", "step_id"),
)
Index(None, scheduled_step.c.step_id)
Index(None, scheduled_step.c.moment, scheduled_step.c.id)
# What is still to be done, which stays little: SQLite takes an index that has a truth value for its first
# column to be very selective, and would begin there whatever is asked for.
Index(
    "ix_scheduled_step_open",
    scheduled_step.c.moment,
    scheduled_step.c.id,
    sqlite_where=scheduled_step.c.is_open,
    postgresql_where=scheduled_step.c.is_open,
)

# The codes of requested procedures, and of the protocols of their steps.
order_code = Table(
    "order_code",
    metadata,
    _key(),
    _reference("order_ref", "imaging_order"),
    Column(
        "step_ref", _BIG_ID, ForeignKey("scheduled_step.id", ondelete="CASCADE")
    ),  # none: of the procedure
    Column("value", Text, nullable=False),
    Column("scheme", Text, nullable=False),
    Column("version", Text),
    Column("meaning", Text, nullable=False),
)
Index(None, order_code.c.order_ref)
Index(None, order_code.c.step_ref)
Index(None, order_code.c.value)

# The folded words of the patient's name of an order, which a search by name begins at.
order_word = Table(
    "order_word",
    metadata,
    Column("word", _COMPARED_BY_BYTES, nullable=False),
    _reference("order_ref", "imaging_order"),
    PrimaryKeyConstraint("word", "order_ref"),
    sqlite_with_rowid=False,
)
Index(None, order_word.c.order_ref)

# Studies on their way to a peer, one row for each pair of them (``pacs/index/send_jobs.py``). The counts are
# of instances.
send_job = Table(
    "send_job",
    metadata,
    _key(),
    Column("study_instance_uid", Text, nullable=False),
    Column("ae_title", Text, nullable=False),  # of the peer
    Column("state", Text, nullable=False),
    Column("priority", SmallInteger, nullable=False, server_default="0"),
    Column("origin", Text, nullable=False),
    # what came from the peer is not sent back to it
    Column("spares_sender", Boolean, nullable=False, server_default=false()),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column(
        "changed_at", DateTime(timezone=True), nullable=False
    ),  # when anything went through, or was wished
    Column("next_attempt_at", DateTime(timezone=True)),  # later, while somebody is at it; none: never
    Column("attempts", Integer, nullable=False, server_default="0"),  # in vain, since something went through
    Column("claims", Integer, nullable=False, server_default="0"),  # who has the last one has the job
    Column("wishes", Integer, nullable=False, server_default="0"),  # how often it was wished for
    Column("total", Integer, nullable=False, server_default="0"),
    Column("sent", Integer, nullable=False, server_default="0"),  # those with a warning included
    Column("warned", Integer, nullable=False, server_default="0"),
    Column("refused", Integer, nullable=False, server_default="0"),
    Column("sent_before", DateTime(timezone=True)),  # what came earlier was sent, and its rows are dropped
    Column("last_error", Text),
    Column("transaction_uid", Text),  # of the request for commitment that waits for its answer
    Column("rounds", Integer, nullable=False, server_default="0"),  # of such requests
    UniqueConstraint("study_instance_uid", "ae_title"),
)
Index(None, send_job.c.transaction_uid)
Index(None, send_job.c.ae_title, send_job.c.state, send_job.c.next_attempt_at)
Index(None, send_job.c.state, send_job.c.next_attempt_at)

# What the peer of a job has answered, instance by instance: nothing of it is sent again.
send_job_instance = Table(
    "send_job_instance",
    metadata,
    _reference("job_ref", "send_job"),
    Column("sop_instance_uid", Text, nullable=False),
    Column("refused", Boolean, nullable=False),
    Column("status", Integer),  # of C-STORE
    Column("error", Text),  # why, where there was no answer
    Column("committed", Boolean, nullable=False, server_default=false()),  # the peer says that it is safe
    PrimaryKeyConstraint("job_ref", "sop_instance_uid"),
    sqlite_with_rowid=False,
)

# Which studies are of which orders (``pacs/index/order_matches.py``): found by what both say, and decided by
# a person where that is not certain.
order_match = Table(
    "order_match",
    metadata,
    _key(),
    Column("study_instance_uid", Text, nullable=False),
    Column("accession_number", Text, nullable=False),  # of the order
    Column("certainty", Text, nullable=False),
    Column("reasons", Text, nullable=False),  # with a backslash between them
    Column("is_open", Boolean, nullable=False),  # a person has to decide
    Column("decision", Text),
    Column("decided_by", Text),
    Column("decided_at", DateTime(timezone=True)),
    Column("found_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("study_instance_uid", "accession_number"),
)
Index(None, order_match.c.accession_number)
Index(None, order_match.c.is_open, order_match.c.id)

# How far a job of the workers has come with what it looks through.
job_cursor = Table(
    "job_cursor",
    metadata,
    Column("job", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# What modalities say of their work (MPPS, PS3.4 F.7): each step as it stands after the last message.
performed_step = Table(
    "performed_step",
    metadata,
    _key(),
    Column("sop_instance_uid", Text, nullable=False, unique=True),
    Column("status", Text, nullable=False),
    Column("dataset", Text, nullable=False),  # DICOM JSON Model
    Column("brief", Text, nullable=False, server_default="{}"),  # so much of it as a list tells
    Column("creation_sha256", Text, nullable=False),  # of what the N-CREATE said
    Column("number_of_messages", Integer, nullable=False),
    Column("patient_id", Text, nullable=False),
    Column("modality", Text, nullable=False),
    Column("station_ae_title", Text, nullable=False),
    Column("is_told_to_orders", Boolean, nullable=False, server_default=false()),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
)
Index(None, performed_step.c.patient_id)
Index(None, performed_step.c.is_told_to_orders)

# The messages that made it so, the first its N-CREATE and the others N-SETs, each an object of the store.
performed_step_message = Table(
    "performed_step_message",
    metadata,
    _key(),
    _reference("performed_step_ref", "performed_step"),
    Column("number", Integer, nullable=False),
    Column("object_key", Text, nullable=False, unique=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("calling_ae_title", Text),
    UniqueConstraint("performed_step_ref", "number"),
)

# What it was scheduled as, in the words of the modality; empty where it has none.
performed_as_scheduled = Table(
    "performed_as_scheduled",
    metadata,
    _key(),
    _reference("performed_step_ref", "performed_step"),
    Column("study_instance_uid", Text, nullable=False),
    Column("accession_number", Text, nullable=False),
    Column("requested_procedure_id", Text, nullable=False),
    Column("scheduled_procedure_step_id", Text, nullable=False),
    # the order that it certainly is of, and the step of it; none while there is no such
    Column("order_accession_number", Text),
    Column("order_step_id", Text),
)
Index(None, performed_as_scheduled.c.performed_step_ref)
Index(None, performed_as_scheduled.c.scheduled_procedure_step_id)
Index(None, performed_as_scheduled.c.order_accession_number, performed_as_scheduled.c.order_step_id)
Index(None, performed_as_scheduled.c.study_instance_uid)
Index(None, performed_as_scheduled.c.accession_number)

# Which newly stored studies are sent to which peer (``pacs/index/known_routes.py``). Lists have a backslash
# between their values.
route = Table(
    "route",
    metadata,
    _key(),
    Column("name", Text, nullable=False, unique=True),
    Column("ae_title", Text, nullable=False),
    Column("modalities", Text, nullable=False),
    Column("calling_ae_titles", Text, nullable=False),
    Column("station_names", Text, nullable=False),
    Column("body_parts", Text, nullable=False),
    Column("institutions", Text, nullable=False),
    Column("hours", Text),
    Column("quiet_s", Integer, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("priors", Integer, nullable=False, server_default="0"),
    Column("fetches", Boolean, nullable=False, server_default=false()),  # priors come from the peer
)

# Previous studies that are to be fetched for orders (``pacs/index/prior_fetches.py``).
prior_fetch = Table(
    "prior_fetch",
    metadata,
    _key(),
    Column("ae_title", Text, nullable=False),  # of the peer
    Column("accession_number", Text, nullable=False),  # of the order
    Column("patient_id", Text, nullable=False),
    Column("priors", Integer, nullable=False),
    Column("origin", Text, nullable=False),
    Column("until", DateTime(timezone=True), nullable=False),
    Column("state", Text, nullable=False),
    Column("next_attempt_at", DateTime(timezone=True)),  # later, while somebody is at it; none: never
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("wishes", Integer, nullable=False, server_default="0"),  # how often it was wished for again
    Column("studies", Integer, nullable=False, server_default="0"),
    Column("instances", Integer, nullable=False, server_default="0"),
    Column("differing", Integer, nullable=False, server_default="0"),  # studies of another person
    Column("last_error", Text),
    UniqueConstraint("ae_title", "accession_number", "patient_id"),
)
Index(None, prior_fetch.c.next_attempt_at)

# Up to which entry of the ledger routes were followed. One row, always.
route_cursor = Table("route_cursor", metadata, Column("sequence", BigInteger, nullable=False))

# What peers are told besides images (``pacs/index/notices.py``): one row for a study and a peer, and one for
# each message of a performed step and a peer.
notice = Table(
    "notice",
    metadata,
    _key(),
    Column("ae_title", Text, nullable=False),  # of the peer
    Column("kind", Text, nullable=False),
    Column("subject_uid", Text, nullable=False),  # of the study, or of the performed step
    Column("number", Integer, nullable=False),  # of the message, 1 is the N-CREATE; 0: there are none
    Column("object_key", Text),  # of the message
    Column("token", Text, nullable=False),  # what UIDs of ours are made from, so that they stay the same
    Column("told_up_to", Text, nullable=False, server_default=""),  # of a long study: this is told already
    Column("wishes", Integer, nullable=False, server_default="0"),  # how often it was wished for again
    Column("claims", Integer, nullable=False, server_default="0"),  # who has the last one is at it
    Column("attempts", Integer, nullable=False, server_default="0"),  # in vain
    Column("wished_at", DateTime(timezone=True), nullable=False),
    Column("next_attempt_at", DateTime(timezone=True)),  # later, while somebody is at it; none: never
    Column("told_at", DateTime(timezone=True)),
    Column("last_error", Text),
    UniqueConstraint("ae_title", "kind", "subject_uid", "number"),
)
Index(None, notice.c.next_attempt_at)

# Up to which entry of the ledger peers were told, and since when any peer wants that. One row, always.
notice_cursor = Table(
    "notice_cursor",
    metadata,
    Column("sequence", BigInteger, nullable=False),
    Column("began_at", DateTime(timezone=True)),
)
