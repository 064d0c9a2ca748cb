-- A block of rows on its way into raw_listening_events: small enough to stay in memory.
create temporary table arrived_rows (like raw_listening_events including defaults) on commit drop
