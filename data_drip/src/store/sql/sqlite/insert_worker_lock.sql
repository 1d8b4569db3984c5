-- Differs by necessity: there are no such locks.
SELECT ?1, ?2
