-- With the version of the schema: a statement that was prepared under another one names columns that are gone.
SELECT r.status, (SELECT schema_version FROM pragma_schema_version)
FROM data_drip_backfill_run_batches b
JOIN data_drip_backfill_runs r ON r.id = b.run_id
WHERE b.id = ?1 AND b.worker = ?2 AND b.epoch = ?3 AND b.status = 'running'
