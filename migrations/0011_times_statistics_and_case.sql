-- Column edges have times of their own; where the last one is NULL, it is that of the table edge.
ALTER TABLE column_lineage_edges ADD COLUMN first_seen timestamptz, ADD COLUMN last_seen timestamptz;
COMMENT ON COLUMN column_lineage_edges.last_seen IS 'NULL: as of the edge in lineage_edges under the same job, source and target';

DROP VIEW catalog_column_lineage;
CREATE VIEW catalog_column_lineage AS
    SELECT c.source_id AS source_dataset_id, c.source_field, c.target_id AS target_dataset_id, c.target_field, c.job_id,
           c.transformations, c.description, c.masking, c.confidence / 100.0 AS confidence, c.stale,
           c.origin_topic, c.origin_partition, c.origin_offset,
           c.first_seen, COALESCE(c.last_seen, e.last_seen) AS last_seen
    FROM column_lineage_edges c
    LEFT JOIN lineage_edges e ON e.job_id = c.job_id AND e.source_id = c.source_id AND e.target_id = c.target_id
    WHERE NOT c.unmapped;

ALTER TABLE partitions ADD COLUMN column_stats jsonb NOT NULL DEFAULT '{}';

-- Ids that differ only by case: lower case as the program folds it, which knows more than ASCII; rows that are there get it
-- in full with their next record.
ALTER TABLE datasets ADD COLUMN folded_id text COLLATE "C";
UPDATE datasets SET folded_id = lower(id);
ALTER TABLE datasets ALTER COLUMN folded_id SET NOT NULL;
CREATE INDEX datasets_folded_id ON datasets (folded_id);
