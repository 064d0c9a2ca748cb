-- One row a session with all its artists, instead of one a session and artist in three indexes.
create temp table sessions on commit drop as
select user_id, session_id, local_date, weight, array_agg(artist_name order by artist_name) as artists
from staging.session_artists
group by user_id, session_id, local_date, weight;

truncate staging.session_artists;
alter table staging.session_artists
    drop column artist_name,
    drop column plays,
    add column artists text[] not null,
    add primary key (user_id, session_id);
comment on column staging.session_artists.artists is 'The names of the artists heard in the session, in order.';

insert into staging.session_artists (user_id, session_id, local_date, weight, artists)
select user_id, session_id, local_date, weight, artists from sessions;
