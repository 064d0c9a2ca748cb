-- What the ml steps need beyond the first version. A changed staging table changes its published copy alike, columns in
-- the same order.

-- Spotify's API tells neither shuffle nor how long a play lasted: a session known only from there has no such rate.
alter table staging.session_features alter column skip_rate drop not null, alter column shuffle_rate drop not null;
alter table ml.session_features alter column skip_rate drop not null, alter column shuffle_rate drop not null;

-- Mean distance of the training sessions to their centroids: what new sessions are compared with to notice drift.
-- 0 for a model from before: whatever comes is far from it, so it is trained anew.
alter table staging.clustering_models add column training_distance double precision not null default 0;
alter table ml.clustering_models add column training_distance double precision not null default 0;
alter table staging.clustering_models alter column training_distance drop default;
alter table ml.clustering_models alter column training_distance drop default;

-- Who was heard in which session: the sparse matrix behind artist_cooccurrence, kept so that a run reads only the
-- sessions of artists that changed. weight doubles every 365 days since 2010-01-01 (see artist_cooccurrence).
create table staging.session_artists (
    user_id text not null,
    session_id bigint not null,
    artist_name text not null,
    local_date date not null,
    plays integer not null,
    weight double precision not null,
    primary key (user_id, session_id, artist_name)
);
create index on staging.session_artists (user_id, artist_name) include (session_id, weight);
create index on staging.session_artists (user_id, local_date);
