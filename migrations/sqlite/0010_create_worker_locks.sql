-- Differs by necessity: nobody sees who else has the file open. A dead worker is known by its lease.
SELECT 1;
