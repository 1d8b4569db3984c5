-- The last of each release: a process that finds its own version here has nothing to apply.
INSERT INTO data_drip_schema (id, version, min_compatible_version) VALUES (1, 11, 9)
ON DUPLICATE KEY UPDATE version = 11, min_compatible_version = 9
