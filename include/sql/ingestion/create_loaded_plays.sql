-- What the rows that were new touch, noted until the transaction's end: everybody locks marks in the same order, once.
-- Days are UTC days, counted from 2000-01-01.
create temporary table loaded_plays (
    day integer not null,
    track_id text,
    plays bigint not null
) on commit drop
