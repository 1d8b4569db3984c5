-- An estimate never takes the place of another one: what has left the scope since would be missing.
UPDATE data_drip_backfill_runs SET total = ?2, total_exact = ?3
WHERE id = ?1 AND planned = 0 AND (total IS NULL OR ?3 = 1)
