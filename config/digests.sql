-- Makes a statement for every table that gives its name, its number of rows, and a digest of them that depends on
-- neither their order nor the character set they are stored in: the sum of the first 64 bits of each row's SHA-256.
-- Runs on MySQL 5.7 and newer, and on MariaDB. docs/database.md tells what the digest holds, and what it does not.
SET SESSION time_zone = '+00:00', sql_mode = '', group_concat_max_len = 16777216;
SELECT CONCAT('SELECT ', QUOTE(CONCAT(c.table_schema, '.', c.table_name)),
  ', COUNT(*), COALESCE(SUM(CAST(CONV(LEFT(SHA2(CONCAT_WS(''|'', ',
  GROUP_CONCAT(
    CASE
      WHEN c.character_set_name IS NOT NULL OR c.data_type = 'json'
        THEN CONCAT('COALESCE(SHA2(CONVERT(`', REPLACE(c.column_name, '`', '``'), '` USING utf8mb4), 256), '''')')
      WHEN c.data_type = 'bit' THEN CONCAT('COALESCE(CONCAT(`', REPLACE(c.column_name, '`', '``'), '` + 0), '''')')
      WHEN c.numeric_precision IS NOT NULL OR c.datetime_precision IS NOT NULL OR c.data_type IN ('date', 'year')
        THEN CONCAT('COALESCE(CONCAT(`', REPLACE(c.column_name, '`', '``'), '`), '''')')
      WHEN c.data_type LIKE '%blob' OR c.data_type LIKE '%binary'
        THEN CONCAT('COALESCE(SHA2(`', REPLACE(c.column_name, '`', '``'), '`, 256), '''')')
      ELSE CONCAT('COALESCE(SHA2(HEX(`', REPLACE(c.column_name, '`', '``'), '`), 256), '''')')
    END ORDER BY c.ordinal_position SEPARATOR ', '),
  '), 256), 16), 16, 10) AS DECIMAL(20))), 0) FROM `',
  REPLACE(c.table_schema, '`', '``'), '`.`', REPLACE(c.table_name, '`', '``'), '`') AS statement
FROM information_schema.columns AS c
JOIN information_schema.tables AS t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
  AND CAST(t.table_name AS BINARY) = CAST(c.table_name AS BINARY) AND t.table_type = 'BASE TABLE'
WHERE c.table_schema NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')
  AND COALESCE(c.generation_expression, '') = ''
GROUP BY CAST(c.table_schema AS BINARY), CAST(c.table_name AS BINARY);
