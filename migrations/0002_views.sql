-- Stable read views for BI tools: columns are only ever added. Grant them to a read-only role of yours:
--   GRANT SELECT ON ALL TABLES IN SCHEMA public TO bi_reader;

CREATE VIEW catalog_datasets AS
    SELECT d.id AS dataset_id, d.name, d.kind AS type, d.platform, d.container_id, c.name AS container_name,
           d.existence, d.existence = 'confirmed' AS is_active, d.description, d.location, d.format, d.table_format,
           d.column_count, d.schema_version, s.row_count, s.size_bytes, s.files, s.last_write, s.last_job,
           (SELECT jsonb_agg(jsonb_build_object('name', o.name, 'role', o.role) ORDER BY o.ordinal)
            FROM owners o WHERE o.entity_id = d.id AND o.entity_kind = 'dataset') AS owners,
           (SELECT jsonb_agg(t.tag ORDER BY t.ordinal) FROM dataset_tags t WHERE t.dataset_id = d.id) AS tags,
           d.properties, d.first_seen, d.last_seen, d.origin_topic, d.origin_partition, d.origin_offset
    FROM datasets d
    LEFT JOIN dataset_stats s ON s.id = d.id
    LEFT JOIN containers c ON c.id = d.container_id
    WHERE d.existence <> 'ignored';

CREATE VIEW catalog_columns AS
    SELECT dataset_id, ordinal, path, name, depth, data_type, description, nullable, partition_key,
           origin_topic, origin_partition, origin_offset
    FROM columns;

CREATE VIEW catalog_tags AS
    SELECT dataset_id, NULL::text AS column_path, tag, value, origin_topic, origin_partition, origin_offset
    FROM dataset_tags
    UNION ALL
    SELECT dataset_id, path, tag, value, origin_topic, origin_partition, origin_offset FROM column_tags;

CREATE VIEW catalog_owners AS
    SELECT entity_id, entity_kind, name, role, origin_topic, origin_partition, origin_offset FROM owners;

CREATE VIEW catalog_schema_history AS
    SELECT dataset_id, source, version, "time", level, breaking, late, incarnation, changes, columns,
           origin_topic, origin_partition, origin_offset
    FROM schema_versions;

CREATE VIEW catalog_lineage AS
    SELECT source_id AS source_dataset_id, target_id AS target_dataset_id, kind AS lineage_type, job_id,
           confidence / 100.0 AS confidence, stale, first_seen, last_seen, runs, run AS last_run,
           origin_topic, origin_partition, origin_offset
    FROM lineage_edges;

CREATE VIEW catalog_column_lineage AS
    SELECT source_id AS source_dataset_id, source_field, target_id AS target_dataset_id, target_field, job_id,
           transformations, description, masking, confidence / 100.0 AS confidence, stale,
           origin_topic, origin_partition, origin_offset
    FROM column_lineage_edges
    WHERE NOT unmapped;

CREATE VIEW catalog_jobs AS
    SELECT id AS job_id, namespace, name, integration, job_type, parent_id, description, "sql", first_seen, last_seen,
           origin_topic, origin_partition, origin_offset
    FROM jobs;

CREATE VIEW catalog_runs AS
    SELECT id AS run_id, job_id, state, started_at, ended_at, ended_at - started_at AS duration, parent_run, error,
           engine, inputs, outputs, origin_topic, origin_partition, origin_offset
    FROM runs
    WHERE expires_at > now();

CREATE VIEW catalog_quality AS
    SELECT dataset_id, check_name, status, field, value, "time", run, origin_topic, origin_partition, origin_offset
    FROM dataset_quality;

CREATE VIEW catalog_aliases AS
    SELECT alias, canonical, kind, valid_from, valid_to, reason, origin_topic, origin_partition, origin_offset
    FROM aliases;

CREATE VIEW catalog_changes AS
    SELECT id AS change_id, entity_id, kind, before, after, breaking, "time", source,
           origin_topic, origin_partition, origin_offset
    FROM changes;
