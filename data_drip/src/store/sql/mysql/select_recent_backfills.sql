SELECT backfill FROM data_drip_backfill_runs WHERE backfiller_id = ?1 GROUP BY backfill ORDER BY max(id) DESC LIMIT ?2
