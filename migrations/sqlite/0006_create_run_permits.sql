-- Differs by necessity: with one writer at a time the batches in flight can simply be counted when one is claimed. Elsewhere
-- a run that bounds its concurrency has as many permits.
SELECT 1;
