-- What the rows that were new touch, noted until the transaction's end: everybody locks marks in the same order, once.
-- A row notes a day, the plays of a track, or both. Days are UTC days, counted from 2000-01-01.
create temporary table loaded_plays (
    day integer,
    track_id text,
    plays bigint
) on commit drop
