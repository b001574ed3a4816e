-- What the API asks by. None of these columns changes after the insert, so updates stay heap-only.
CREATE INDEX aliases_alias ON aliases (alias);
CREATE INDEX aliases_canonical ON aliases (canonical);
CREATE INDEX lineage_edges_job ON lineage_edges (job_id);
CREATE INDEX column_lineage_edges_job ON column_lineage_edges (job_id);
CREATE INDEX jobs_parent ON jobs (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX changes_time ON changes ("time");
-- Datasets of one name in other places: candidates for names that nobody confirms.
CREATE INDEX datasets_last_segment ON datasets (lower(substring(id FROM '[^/]*$')));
