-- What each customer looked at. Small so far; nobody thought of an index.
CREATE TABLE history (
    id INTEGER PRIMARY KEY, customer TEXT NOT NULL, page TEXT NOT NULL
);
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 4003)
INSERT INTO history (customer, page)
SELECT CASE i % 1001 WHEN 1000 THEN 'probe' ELSE 'u' || (i % 1001) END, 'p' || ((i * 7919) % 997) FROM n;
