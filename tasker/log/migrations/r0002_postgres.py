"""The second schema on PostgreSQL; beside the revision, for Alembic takes every file of its folder for one."""

from __future__ import annotations

from tasker.log.migrations.r0001_postgres import BY_INDEX, LOOK_BODY, LOOK_PARAMETERS, LOOK_RETURNS

_WORKERS = """
CREATE TABLE workers (
    worker_id text NOT NULL PRIMARY KEY,
    state text NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    release text NOT NULL,
    slots integer NOT NULL,
    started_at bigint NOT NULL,
    beat_at bigint NOT NULL,
    lease_until bigint,
    settled boolean NOT NULL,
    handlers text NOT NULL,
    lacking text NOT NULL,
    skew double precision NOT NULL
) WITH (fillfactor = 50)
"""

_LIMIT_HOLDERS = """
CREATE TABLE limit_holders (
    scope text NOT NULL,
    stream_id bytea NOT NULL,
    step integer NOT NULL,
    attempt integer NOT NULL,
    PRIMARY KEY (scope, stream_id, step)
) WITH (autovacuum_vacuum_scale_factor = 0.02)
"""

# Beside the functions of the first revision, which workers of the release before go on calling. What this look finds
# more: living workers, and places under limits, those that the live work has running apart from the stale ones.
_LOOK = f"""
CREATE FUNCTION tasker_look_2({LOOK_PARAMETERS}, _workers text[], _scopes text[]){LOOK_RETURNS}{LOOK_BODY}
    IF cardinality(_workers) > 0 THEN
        RETURN QUERY SELECT 5, convert_to(worker_id, 'UTF8'), 0::bigint, NULL::bytea FROM workers
            WHERE worker_id = ANY (_workers) AND state IN ('alive', 'draining');
    END IF;
    IF cardinality(_scopes) > 0 THEN
        RETURN QUERY SELECT CASE WHEN work.kind = 2 AND work.attempt = holder.attempt THEN 6 ELSE 7 END,
            convert_to(holder.scope, 'UTF8'), holder.step::bigint << 32 | holder.attempt::bigint, holder.stream_id
            FROM limit_holders AS holder
            LEFT JOIN live_work AS work ON work.stream_id = holder.stream_id AND work.step = holder.step
            WHERE holder.scope = ANY (_scopes);
    END IF;
END $$
"""

_HOLD = f"""
CREATE FUNCTION tasker_hold_2(
    _free text[], _free_stream bytea[], _free_step integer[],
    _scope text[], _stream bytea[], _step integer[], _attempt integer[]
) RETURNS void LANGUAGE plpgsql VOLATILE
{BY_INDEX} AS $$
BEGIN
    IF cardinality(_free) > 0 THEN
        DELETE FROM limit_holders USING unnest(_free, _free_stream, _free_step) AS free (name, id, number)
            WHERE scope = free.name AND stream_id = free.id AND step = free.number;
    END IF;
    INSERT INTO limit_holders (scope, stream_id, step, attempt)
        SELECT * FROM unnest(_scope, _stream, _step, _attempt)
        ON CONFLICT (scope, stream_id, step) DO UPDATE SET attempt = excluded.attempt;
END $$
"""

POSTGRES = (_WORKERS, _LIMIT_HOLDERS, _LOOK, _HOLD)
"""The statements for PostgreSQL, in order; the indexes are those of SQLite."""
