-- Queries of warehouses and how datasets are used. Both expire: readers do not show what has `expires_at` behind them, and
-- the tombstones that follow remove the rows.

CREATE TABLE query_logs (
    key              bytea PRIMARY KEY,
    id               text COLLATE "C" NOT NULL,
    platform         text NOT NULL,
    instance         text COLLATE "C" NOT NULL,
    query_id         text COLLATE "C" NOT NULL,
    session          text,
    user_name        text,
    application      text,
    started_at       timestamptz NOT NULL,
    ended_at         timestamptz NOT NULL,
    status           text NOT NULL,
    error            text,
    statement_type   text NOT NULL,
    fingerprint      text COLLATE "C" NOT NULL,
    query_text       text,
    job_id           text COLLATE "C",
    reads            jsonb NOT NULL,
    writes           jsonb NOT NULL,
    row_count        bigint,
    bytes_read       bigint,
    duration_us      bigint,
    bound            jsonb NOT NULL,
    source           text NOT NULL,
    expires_at       timestamptz NOT NULL,
    origin_topic     text NOT NULL,
    origin_partition integer NOT NULL,
    origin_offset    bigint NOT NULL,
    row_hash         bytea NOT NULL
);
COMMENT ON COLUMN query_logs.query_text IS 'literals are replaced, unless configured otherwise';
COMMENT ON COLUMN query_logs.fingerprint IS 'of the text without its literals; empty without a text';

CREATE TABLE query_datasets (
    dataset_id       text COLLATE "C" NOT NULL,
    ended_at         timestamptz NOT NULL,
    query_key        bytea NOT NULL,
    fingerprint      text COLLATE "C" NOT NULL,
    expires_at       timestamptz NOT NULL,
    PRIMARY KEY (dataset_id, ended_at, query_key)
);
COMMENT ON TABLE query_datasets IS 'the datasets that each query read or wrote, for finding the newest queries of a dataset';

CREATE TABLE dataset_usage_daily (
    key              bytea PRIMARY KEY,
    dataset_id       text COLLATE "C" NOT NULL,
    day              text COLLATE "C" NOT NULL,
    queries          bigint NOT NULL,
    failed           bigint NOT NULL,
    writes           bigint NOT NULL,
    row_count        bigint NOT NULL,
    bytes_read       bigint NOT NULL,
    duration_us      bigint NOT NULL,
    distinct_users   bigint NOT NULL,
    users_exact      boolean NOT NULL,
    users            jsonb NOT NULL,
    columns          jsonb NOT NULL,
    filters          jsonb NOT NULL,
    joins            jsonb NOT NULL,
    expires_at       timestamptz NOT NULL,
    origin_topic     text NOT NULL,
    origin_partition integer NOT NULL,
    origin_offset    bigint NOT NULL,
    row_hash         bytea NOT NULL
);
CREATE INDEX dataset_usage_daily_dataset ON dataset_usage_daily (dataset_id, day);
COMMENT ON COLUMN dataset_usage_daily.day IS 'YYYY-MM-DD, UTC, by the end of the query';
COMMENT ON COLUMN dataset_usage_daily.users_exact IS 'false: distinct_users is an estimate';

CREATE VIEW catalog_queries AS
    SELECT id AS query, platform, instance, query_id, session, user_name, application, started_at, ended_at, status, error,
           statement_type, fingerprint, query_text, job_id, reads, writes, row_count, bytes_read,
           duration_us / 1e6 AS duration_seconds, source, origin_topic, origin_partition, origin_offset
    FROM query_logs
    WHERE expires_at > now();

CREATE VIEW catalog_usage AS
    SELECT dataset_id, day::date AS day, queries, failed, writes, distinct_users, users_exact, row_count, bytes_read,
           duration_us / 1e6 AS duration_seconds, origin_topic, origin_partition, origin_offset
    FROM dataset_usage_daily
    WHERE expires_at > now();

CREATE VIEW catalog_user_usage AS
    SELECT d.dataset_id, d.day::date AS day, u."user" AS user_name, u.queries, u.failed, u.columns
    FROM dataset_usage_daily d,
         jsonb_to_recordset(d.users) AS u("user" text, queries bigint, failed bigint, columns jsonb)
    WHERE d.expires_at > now();

CREATE VIEW catalog_column_usage AS
    SELECT d.dataset_id, d.day::date AS day, c.key AS column_path, c.value::bigint AS queries,
           COALESCE((d.filters ->> c.key)::bigint, 0) AS filters
    FROM dataset_usage_daily d, jsonb_each_text(d.columns) AS c
    WHERE d.expires_at > now();

CREATE VIEW catalog_joins AS
    SELECT d.dataset_id, d.day::date AS day, j."column" AS column_path, j.other AS other_dataset_id,
           j.other_column AS other_column_path, j.queries
    FROM dataset_usage_daily d,
         jsonb_to_recordset(d.joins) AS j("column" text, other text, other_column text, queries bigint)
    WHERE d.expires_at > now();
