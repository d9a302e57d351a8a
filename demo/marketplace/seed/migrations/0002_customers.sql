-- A thousand customers, a hundred with a record that an old import mangled, and the one that probes ask for.
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
INSERT INTO customers
SELECT 'u' || i, (1940 + (i * 7) % 65) || '-05-17', (i * 3) % 10, CASE i % 3 WHEN 0 THEN 'north' WHEN 1 THEN 'south' ELSE 'west' END FROM n;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99)
INSERT INTO customers SELECT 'dirty' || i, '17th of May', 3, 'north' FROM n;
INSERT INTO customers VALUES ('probe', '1980-05-17', 7, 'west');
INSERT INTO visits SELECT id, 'home' FROM customers;
