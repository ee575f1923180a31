-- The same from the function that a DBA granted to the scanner.
SELECT coalesce(json_agg(json_build_object('role', v.rolname, 'kind', v.kind, 'iterations', coalesce(v.iterations, 0)) ORDER BY v.rolname), '[]')
FROM postern_scan.verifier_kinds() v
