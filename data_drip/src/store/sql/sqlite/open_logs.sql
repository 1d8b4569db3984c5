INSERT INTO data_drip_run_log_totals (run_id, kept, dropped)
SELECT id, 0, 0 FROM data_drip_backfill_runs WHERE id = ?1
ON CONFLICT (run_id) DO NOTHING
