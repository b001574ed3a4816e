-- Views of the compacted catalog topics. Only sinks write here, and everything can be dropped and rebuilt from Kafka.
--
-- Ids compare bytewise (COLLATE "C"): it is cheaper and the same on every machine. Tables whose Kafka key joins several
-- ids are keyed by `key`, the first 16 bytes of the SHA-256 of that Kafka key: long ids would not fit an index entry,
-- and a tombstone, which has only the key, finds its row without being taken apart. `row_hash` is a hash of the whole
-- record, so that a repeated record costs no write. `origin_*` name the raw record that caused the row.
-- There are no foreign keys: each topic is followed on its own and a child may arrive before its parent.

CREATE TABLE positions (
    sink        text COLLATE "C" NOT NULL,
    topic       text COLLATE "C" NOT NULL,
    partition   integer NOT NULL,
    topic_id    text COLLATE "C",
    next_offset bigint NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sink, topic, partition)
) WITH (fillfactor = 50);
COMMENT ON TABLE positions IS 'how far each sink has written each partition; moved in the same transaction as the rows';

CREATE TABLE sink_rejects (
    sink          text COLLATE "C" NOT NULL,
    topic         text COLLATE "C" NOT NULL,
    partition     integer NOT NULL,
    record_offset bigint NOT NULL,
    record_key    text NOT NULL,
    reason        text NOT NULL,
    message       text NOT NULL,
    rejected_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sink, topic, partition, record_offset)
);
COMMENT ON TABLE sink_rejects IS 'catalog records that the sink could not store, by their place in the catalog topic';

CREATE TABLE datasets (
    id               text COLLATE "C" PRIMARY KEY,
    platform         text NOT NULL,
    name             text NOT NULL,
    container_id     text COLLATE "C",
    kind             text NOT NULL,
    existence        text NOT NULL,
    incarnation      integer NOT NULL,
    names            jsonb NOT NULL,
    aliases          jsonb NOT NULL,
    authority        text NOT NULL,
    schema_version   integer NOT NULL,
    column_count     integer NOT NULL,
    description      text,
    location         text,
    format           text,
    table_format     text,
    properties       jsonb NOT NULL,
    view_original    text,
    view_expanded    text,
    constraints      jsonb NOT NULL,
    facets           jsonb NOT NULL,
    native           jsonb NOT NULL,
    issues           jsonb NOT NULL,
    provenance       jsonb NOT NULL,
    first_seen       timestamptz NOT NULL,
    last_seen        timestamptz NOT NULL,
    origin_topic     text NOT NULL,
    origin_partition integer NOT NULL,
    origin_offset    bigint NOT NULL,
    row_hash         bytea NOT NULL,
    columns_hash     bytea NOT NULL,
    tags_hash        bytea NOT NULL,
    owners_hash      bytea NOT NULL
);
CREATE INDEX datasets_container ON datasets (container_id);
COMMENT ON COLUMN datasets.existence IS 'confirmed, dropped, referenced, virtual or ignored';
COMMENT ON COLUMN datasets.columns_hash IS 'of the rows in columns; they are replaced only when it changes';

CREATE TABLE columns (
    dataset_id       text COLLATE "C" NOT NULL,
    ordinal          integer NOT NULL,
    path             text COLLATE "C" NOT NULL,
    name             text NOT NULL,
    depth            integer NOT NULL,
    data_type        text NOT NULL,
    canonical_type   text NOT NULL,
    description      text,
    nullable         boolean,
    partition_key    boolean NOT NULL,
    conflicts        jsonb NOT NULL,
    origin_topic     text NOT NULL,
    origin_partition integer NOT NULL,
    origin_offset    bigint NOT NULL,
    PRIMARY KEY (dataset_id, ordinal)
);

CREATE TABLE dataset_tags (
    dataset_id       text COLLATE "C" NOT NULL,
    ordinal          integer NOT NULL,
    tag              text NOT NULL,
    value            text NOT NULL,
    origin_topic     text NOT NULL,
    origin_partition integer NOT NULL,
    origin_offset    bigint NOT NULL,
    PRIMARY KEY (dataset_id, ordinal)
);

CREATE TABLE column_tags (
    dataset_id       text COLLATE "C" NOT NULL,
    ordinal          integer NOT NULL,
    path             text COLLATE "C" NOT NULL,
    tag              text NOT NULL,
    value            text NOT NULL,
    origin_topic     text NOT NULL,
    origin_partition integer NOT NULL,
    origin_offset    bigint NOT NULL,
    PRIMARY KEY (dataset_id, ordinal)
);

CREATE VIEW tags AS
    SELECT tag AS name, value, count(*) FILTER (WHERE path IS NULL) AS datasets, count(path) AS columns
    FROM (SELECT tag, value, NULL AS path FROM dataset_tags
          UNION ALL
          SELECT tag, value, path FROM column_tags) AS uses
    GROUP BY tag, value;
COMMENT ON VIEW tags IS 'tags in use, with how often';

CREATE TABLE owners (
    entity_kind      text COLLATE "C" NOT NULL,
    entity_id        text COLLATE "C" NOT NULL,
    ordinal          integer NOT NULL,
    name             text NOT NULL,
    role             text NOT NULL,
    origin_topic     text NOT NULL,
    origin_partition integer NOT NULL,
    origin_offset    bigint NOT NULL,
    PRIMARY KEY (entity_id, entity_kind, ordinal)
);
COMMENT ON COLUMN owners.entity_kind IS 'dataset, container or job';

CREATE TABLE dataset_stats (
    id               text COLLATE "C" PRIMARY KEY,
    row_count        bigint,
    size_bytes       bigint,
    files            bigint,
    last_write       timestamptz,
    last_job         text,
    last_run         text,
    dataset_version  text,
    column_stats     jsonb NOT NULL,
    origin_topic     text NOT NULL,
    origin_partition integer NOT NULL,
    origin_offset    bigint NOT NULL,
    row_hash         bytea NOT NULL
);

CREATE TABLE containers (
    id               text COLLATE "C" PRIMARY KEY,
    platform         text NOT NULL,
    name             text NOT NULL,
    existence        text NOT NULL,
    description      text,
    location         text,
    properties       jsonb NOT NULL,
    native           jsonb NOT NULL,
    origin_topic     text NOT NULL,
    origin_partition integer NOT NULL,
    origin_offset    bigint NOT NULL,
    row_hash         bytea NOT NULL,
    owners_hash      bytea NOT NULL
);

CREATE TABLE partitions (
    key              bytea PRIMARY KEY,
    dataset_id       text COLLATE "C" NOT NULL,
    name             text COLLATE "C" NOT NULL,
    "values"         jsonb NOT NULL,
    location         text,
    properties       jsonb NOT NULL,
    native           jsonb NOT NULL,
    source           text NOT NULL,
    origin_topic     text NOT NULL,
    origin_partition integer NOT NULL,
    origin_offset    bigint NOT NULL,
    row_hash         bytea NOT NULL
);
CREATE INDEX partitions_dataset ON partitions (dataset_id);

CREATE TABLE functions (
    id               text COLLATE "C" PRIMARY KEY,
    name             text NOT NULL,
    existence        text NOT NULL,
    native           jsonb NOT NULL,
    origin_topic     text NOT NULL,
    origin_partition integer NOT NULL,
    origin_offset    bigint NOT NULL,
    row_hash         bytea NOT NULL
);

CREATE TABLE schema_versions (
    key              bytea PRIMARY KEY,
    dataset_id       text COLLATE "C" NOT NULL,
    source           text COLLATE "C" NOT NULL,
    version          text COLLATE "C" NOT NULL,
    "time"           timestamptz NOT NULL,
    columns          jsonb NOT NULL,
    schema_hash      text NOT NULL,
    changes          jsonb NOT NULL,
    breaking         boolean NOT NULL,
    level            text NOT NULL,
    late             boolean NOT NULL,
    incarnation      integer NOT NULL,
    origin_topic     text NOT NULL,
    origin_partition integer NOT NULL,
    origin_offset    bigint NOT NULL,
    row_hash         bytea NOT NULL
);
CREATE INDEX schema_versions_dataset ON schema_versions (dataset_id);
COMMENT ON COLUMN schema_versions.version IS 'sorts as the source''s versions do';

CREATE TABLE jobs (
    id               text COLLATE "C" PRIMARY KEY,
    namespace        text NOT NULL,
    name             text NOT NULL,
    integration      text NOT NULL,
    job_type         text NOT NULL,
    processing       text NOT NULL,
    parent_id        text COLLATE "C",
    description      text,
    tags             jsonb NOT NULL,
    source_location  text,
    source_code      text,
    "sql"            text,
    dialect          text,
    definition_hash  text NOT NULL,
    dependencies     jsonb NOT NULL,
    facets           jsonb NOT NULL,
    first_seen       timestamptz NOT NULL,
    last_seen        timestamptz NOT NULL,
    origin_topic     text NOT NULL,
    origin_partition integer NOT NULL,
    origin_offset    bigint NOT NULL,
    row_hash         bytea NOT NULL,
    owners_hash      bytea NOT NULL
);

CREATE TABLE runs (
    key              bytea PRIMARY KEY,
    id               text COLLATE "C" NOT NULL,
    job_id           text COLLATE "C" NOT NULL,
    state            text NOT NULL,
    started_at       timestamptz,
    ended_at         timestamptz,
    nominal_start    timestamptz,
    nominal_end      timestamptz,
    parent_run       text,
    parent_job       text,
    root_run         text,
    error            text,
    engine           text,
    inputs           jsonb NOT NULL,
    outputs          jsonb NOT NULL,
    dataset_versions jsonb NOT NULL,
    facets           jsonb NOT NULL,
    expires_at       timestamptz NOT NULL,
    origin_topic     text NOT NULL,
    origin_partition integer NOT NULL,
    origin_offset    bigint NOT NULL,
    row_hash         bytea NOT NULL
);
CREATE INDEX runs_job ON runs (job_id);
COMMENT ON COLUMN runs.expires_at IS 'readers do not show the run from then on';

CREATE TABLE lineage_edges (
    key              bytea PRIMARY KEY,
    job_id           text COLLATE "C" NOT NULL,
    source_id        text COLLATE "C" NOT NULL,
    target_id        text COLLATE "C" NOT NULL,
    kind             text NOT NULL,
    confidence       integer NOT NULL,
    first_seen       timestamptz NOT NULL,
    last_seen        timestamptz NOT NULL,
    runs             bigint NOT NULL,
    stale            boolean NOT NULL,
    run              text NOT NULL,
    origin_topic     text NOT NULL,
    origin_partition integer NOT NULL,
    origin_offset    bigint NOT NULL,
    row_hash         bytea NOT NULL
);

CREATE TABLE column_lineage_edges (
    key              bytea PRIMARY KEY,
    job_id           text COLLATE "C" NOT NULL,
    target_id        text COLLATE "C" NOT NULL,
    target_field     text COLLATE "C" NOT NULL,
    source_id        text COLLATE "C" NOT NULL,
    source_field     text COLLATE "C" NOT NULL,
    transformations  jsonb NOT NULL,
    description      text NOT NULL,
    masking          boolean NOT NULL,
    confidence       integer NOT NULL,
    unmapped         boolean NOT NULL,
    stale            boolean NOT NULL,
    origin_topic     text NOT NULL,
    origin_partition integer NOT NULL,
    origin_offset    bigint NOT NULL,
    row_hash         bytea NOT NULL
);

CREATE TABLE aliases (
    key              bytea PRIMARY KEY,
    alias            text COLLATE "C" NOT NULL,
    canonical        text COLLATE "C" NOT NULL,
    kind             text NOT NULL,
    valid_from       timestamptz,
    valid_to         timestamptz,
    reason           text NOT NULL,
    origin_topic     text NOT NULL,
    origin_partition integer NOT NULL,
    origin_offset    bigint NOT NULL,
    row_hash         bytea NOT NULL
);

CREATE TABLE dataset_quality (
    key              bytea PRIMARY KEY,
    dataset_id       text COLLATE "C" NOT NULL,
    check_name       text COLLATE "C" NOT NULL,
    status           text NOT NULL,
    field            text,
    value            jsonb NOT NULL,
    "time"           timestamptz NOT NULL,
    run              text NOT NULL,
    origin_topic     text NOT NULL,
    origin_partition integer NOT NULL,
    origin_offset    bigint NOT NULL,
    row_hash         bytea NOT NULL
);
CREATE INDEX dataset_quality_dataset ON dataset_quality (dataset_id);

CREATE TABLE changes (
    id               text COLLATE "C" PRIMARY KEY,
    entity_id        text COLLATE "C" NOT NULL,
    kind             text NOT NULL,
    before           jsonb,
    after            jsonb,
    breaking         boolean NOT NULL,
    "time"           timestamptz NOT NULL,
    source           text NOT NULL,
    origin_topic     text NOT NULL,
    origin_partition integer NOT NULL,
    origin_offset    bigint NOT NULL,
    row_hash         bytea NOT NULL
);
CREATE INDEX changes_entity ON changes (entity_id, "time");
