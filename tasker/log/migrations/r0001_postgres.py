"""The first schema on PostgreSQL; beside the revision, for Alembic takes every file of its folder for one."""

from __future__ import annotations

# `token` changes with every append and is unlike any other: who remembers it knows that nobody else has written, and an
# append that was sent under an older one is void, however late it arrives. The index makes the row the only one.
_LOG_HEAD = """
CREATE TABLE log_head (
    log_id bytea NOT NULL PRIMARY KEY,
    format integer NOT NULL,
    position bigint NOT NULL,
    token bytea NOT NULL
) WITH (fillfactor = 20)
"""

_LOG_HEAD_ONE = "CREATE UNIQUE INDEX log_head_one ON log_head ((true))"

# Numbers first: PostgreSQL would fill the gaps between them and values of any length.
_EVENTS = """
CREATE TABLE events (
    position bigint NOT NULL PRIMARY KEY,
    time bigint NOT NULL,
    due bigint,
    version integer NOT NULL,
    type integer NOT NULL,
    schema_version integer NOT NULL,
    step integer,
    attempt integer,
    stream_id bytea NOT NULL,
    event_id bytea NOT NULL,
    actor text,
    causation_id bytea,
    metadata bytea,
    payload_hash bytea,
    hash bytea NOT NULL,
    salt bytea,
    data bytea NOT NULL,
    payload bytea
)
"""

_EVENTS_FOLD = """
CREATE UNIQUE INDEX events_fold ON events (stream_id, version)
INCLUDE (position, type, schema_version, step, attempt, time, due)
"""

# After a connection was lost in COMMIT, this index tells whether the append is there.
_EVENTS_ID = "CREATE UNIQUE INDEX events_id ON events (event_id)"

_STREAMS = """
CREATE TABLE streams (
    stream_id bytea NOT NULL PRIMARY KEY,
    namespace text NOT NULL,
    task_name text NOT NULL,
    task_version text NOT NULL,
    definition_digest bytea NOT NULL,
    correlation_id text,
    identity bytea
)
"""

_STREAMS_IDENTITY = "CREATE UNIQUE INDEX streams_identity ON streams (identity) WHERE identity IS NOT NULL"

_DEFINITIONS = "CREATE TABLE definitions (digest bytea NOT NULL PRIMARY KEY, bytes bytea NOT NULL)"

_EVENT_TYPES = "CREATE TABLE event_types (code integer NOT NULL PRIMARY KEY, name text NOT NULL)"

_EVENT_TYPES_NAME = "CREATE UNIQUE INDEX event_types_name ON event_types (name) WHERE code >= 1000"

_LIVE_WORK = """
CREATE TABLE live_work (
    stream_id bytea NOT NULL,
    step integer NOT NULL,
    kind integer NOT NULL,
    due bigint,
    rank bigint NOT NULL,
    attempt integer NOT NULL,
    worker_id text,
    PRIMARY KEY (stream_id, step)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02)
"""

_CHECKPOINTS = "CREATE TABLE checkpoints (name text NOT NULL PRIMARY KEY, position bigint NOT NULL)"

_REFUSE = """
CREATE FUNCTION tasker_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%: append only, % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$
"""

_EVENTS_UPDATE = """
CREATE FUNCTION tasker_erase() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.payload IS NULL AND NEW.salt IS NULL AND (
        NEW.position, NEW.stream_id, NEW.version, NEW.event_id, NEW.type, NEW.schema_version, NEW.time, NEW.step,
        NEW.attempt, NEW.due, NEW.actor, NEW.causation_id, NEW.metadata, NEW.data, NEW.payload_hash, NEW.hash
    ) IS NOT DISTINCT FROM (
        OLD.position, OLD.stream_id, OLD.version, OLD.event_id, OLD.type, OLD.schema_version, OLD.time, OLD.step,
        OLD.attempt, OLD.due, OLD.actor, OLD.causation_id, OLD.metadata, OLD.data, OLD.payload_hash, OLD.hash
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'events: append only; only payload and salt may be erased, both at once'
        USING ERRCODE = 'restrict_violation';
END $$
"""

_LOG_HEAD_UPDATE = """
CREATE FUNCTION tasker_head() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.log_id = OLD.log_id AND NEW.position >= OLD.position AND NEW.format >= OLD.format THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'log_head: a log keeps its id and never goes back' USING ERRCODE = 'restrict_violation';
END $$
"""

# One plan, made once, that walks indexes: the planner knows neither how long arrays are nor how tables grow, and would
# now and then read a whole table instead.
BY_INDEX = (
    "SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off "
    "SET enable_mergejoin = off"
)

# Every statement of a volatile function sees what was committed before it, and so, after the lock, all of the log.
LOOK_PARAMETERS = "_streams bytea[], _identities bytea[], _digests bytea[], _types boolean"
LOOK_RETURNS = f"""
RETURNS TABLE (kind integer, key bytea, number bigint, value bytea) LANGUAGE plpgsql VOLATILE
{BY_INDEX} AS $$
BEGIN"""
LOOK_BODY = """
    RETURN QUERY SELECT 0, log_id, position, token FROM log_head FOR UPDATE;
    RETURN QUERY SELECT 1, wanted.id, last.version::bigint, last.hash FROM unnest(_streams) AS wanted (id)
        CROSS JOIN LATERAL (
            SELECT version, hash FROM events WHERE stream_id = wanted.id ORDER BY version DESC LIMIT 1
        ) AS last;
    IF cardinality(_identities) > 0 THEN
        RETURN QUERY SELECT 2, identity, 0::bigint, stream_id FROM streams
            WHERE identity = ANY (_identities) AND identity IS NOT NULL;
    END IF;
    IF cardinality(_digests) > 0 THEN
        RETURN QUERY SELECT 3, digest, 0::bigint, NULL::bytea FROM definitions WHERE digest = ANY (_digests);
    END IF;
    IF _types THEN
        RETURN QUERY SELECT 4, convert_to(name, 'UTF8'), code::bigint, NULL::bytea FROM event_types;
    END IF;"""
_LOOK = f"""
CREATE FUNCTION tasker_look_1({LOOK_PARAMETERS}){LOOK_RETURNS}{LOOK_BODY}
END $$
"""

_APPEND = f"""
CREATE FUNCTION tasker_append_1(
    _position bigint, _token bytea, _new_token bytea,
    _stream bytea[], _version integer[], _event bytea[], _type integer[], _schema integer[], _time bigint[],
    _step integer[], _attempt integer[], _due bigint[], _actor text[], _causation bytea[], _metadata bytea[],
    _data bytea[], _payload bytea[], _salt bytea[], _payload_hash bytea[], _hash bytea[],
    _new bytea[], _namespace text[], _task text[], _task_version text[], _digest bytea[], _correlation text[],
    _identity bytea[],
    _definition bytea[], _bytes bytea[], _code integer[], _name text[],
    _gone bytea[], _gone_step integer[],
    _work bytea[], _work_step integer[], _kind integer[], _work_due bigint[], _rank bigint[], _work_attempt integer[],
    _worker text[],
    _erased bytea[], _upto integer[]
) RETURNS boolean LANGUAGE plpgsql VOLATILE
{BY_INDEX} AS $$
BEGIN
    IF cardinality(_new) > 0 AND (
        EXISTS (SELECT 1 FROM streams WHERE stream_id = ANY (_new))
        OR EXISTS (SELECT 1 FROM streams WHERE identity = ANY (_identity) AND identity IS NOT NULL)
    ) THEN
        RETURN false;
    END IF;
    UPDATE log_head SET position = _position + cardinality(_hash), token = _new_token
        WHERE position = _position AND token = _token;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF cardinality(_new) > 0 THEN
        INSERT INTO streams (stream_id, namespace, task_name, task_version, definition_digest, correlation_id, identity)
            SELECT * FROM unnest(_new, _namespace, _task, _task_version, _digest, _correlation, _identity);
    END IF;
    IF cardinality(_definition) > 0 THEN
        INSERT INTO definitions (digest, bytes) SELECT * FROM unnest(_definition, _bytes) ON CONFLICT DO NOTHING;
    END IF;
    IF cardinality(_code) > 0 THEN
        INSERT INTO event_types (code, name) SELECT * FROM unnest(_code, _name);
    END IF;
    INSERT INTO events (
        position, stream_id, version, event_id, type, schema_version, time, step, attempt, due, actor, causation_id,
        metadata, data, payload, salt, payload_hash, hash
    ) SELECT
        _position + place, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q
        FROM unnest(
            _stream, _version, _event, _type, _schema, _time, _step, _attempt, _due, _actor, _causation, _metadata,
            _data, _payload, _salt, _payload_hash, _hash
        ) WITH ORDINALITY AS new (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, place);
    IF cardinality(_erased) > 0 THEN
        UPDATE events SET payload = NULL, salt = NULL FROM unnest(_erased, _upto) AS gone (id, upto)
            WHERE stream_id = gone.id AND version <= gone.upto AND payload_hash IS NOT NULL;
    END IF;
    IF cardinality(_gone) > 0 THEN
        DELETE FROM live_work USING unnest(_gone, _gone_step) AS gone (id, number)
            WHERE stream_id = gone.id AND step = gone.number;
    END IF;
    IF cardinality(_work) > 0 THEN
        INSERT INTO live_work (stream_id, step, kind, due, rank, attempt, worker_id)
            SELECT * FROM unnest(_work, _work_step, _kind, _work_due, _rank, _work_attempt, _worker)
            ON CONFLICT (stream_id, step) DO UPDATE SET kind = excluded.kind, due = excluded.due,
                rank = excluded.rank, attempt = excluded.attempt, worker_id = excluded.worker_id;
    END IF;
    RETURN true;
END $$
"""


def _guard(table: str, change: str, function: str = "tasker_refuse") -> str:
    """Write the trigger that calls a function before every changed row, or before a TRUNCATE."""
    each = "STATEMENT" if change == "TRUNCATE" else "ROW"
    return (
        f"CREATE TRIGGER {table}_{change.lower()} BEFORE {change} ON {table} "
        f"FOR EACH {each} EXECUTE FUNCTION {function}()"
    )


POSTGRES = (
    _LOG_HEAD,
    _LOG_HEAD_ONE,
    _EVENTS,
    _EVENTS_FOLD,
    _EVENTS_ID,
    _STREAMS,
    _STREAMS_IDENTITY,
    _DEFINITIONS,
    _EVENT_TYPES,
    _EVENT_TYPES_NAME,
    _LIVE_WORK,
    _CHECKPOINTS,
    _REFUSE,
    _EVENTS_UPDATE,
    _LOG_HEAD_UPDATE,
    _guard("events", "UPDATE", "tasker_erase"),
    _guard("log_head", "UPDATE", "tasker_head"),
    *(_guard(table, "UPDATE") for table in ("streams", "definitions", "event_types")),
    *(
        _guard(table, change)
        for table in ("events", "log_head", "streams", "definitions", "event_types")
        for change in ("DELETE", "TRUNCATE")
    ),
    _LOOK,
    _APPEND,
)
"""The statements for PostgreSQL, in order."""
