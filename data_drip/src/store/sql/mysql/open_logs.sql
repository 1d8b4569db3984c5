-- Differs by necessity: the run is locked first, as whoever deletes it does, and totals that are there already are locked for
-- writing. INSERT IGNORE would lock them for reading, and two who write at once would wait for each other.
INSERT INTO data_drip_run_log_totals (run_id, kept, dropped)
SELECT r.id, 0, 0 FROM data_drip_backfill_runs r WHERE r.id = ?1 LOCK IN SHARE MODE
ON DUPLICATE KEY UPDATE kept = kept + 0
