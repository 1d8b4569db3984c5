-- The last of each release: a process that finds its own version here has nothing to apply.
INSERT INTO data_drip_schema (id, version, min_compatible_version) VALUES (1, 11, 9)
ON CONFLICT (id) DO UPDATE SET version = excluded.version, min_compatible_version = excluded.min_compatible_version;
