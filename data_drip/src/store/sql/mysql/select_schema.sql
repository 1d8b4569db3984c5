SELECT version, min_compatible_version FROM data_drip_schema WHERE id = 1
