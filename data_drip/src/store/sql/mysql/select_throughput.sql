SELECT (finished_at - ?2) DIV ?3, CAST(SUM(processed) AS SIGNED), count(*)
FROM data_drip_backfill_run_batches
WHERE run_id = ?1 AND status = 'completed' AND finished_at >= ?4
GROUP BY 1
ORDER BY 1
