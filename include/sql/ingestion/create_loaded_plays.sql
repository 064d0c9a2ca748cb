-- What the rows that were new touch, noted until the transaction's end: everybody locks marks in the same order, once.
create temporary table loaded_plays (
    day date not null,
    track_id text,
    plays bigint not null
) on commit drop
