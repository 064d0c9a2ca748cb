-- What is played becomes part of what a session is like: how often each artist was heard in it, and the model's numbers for
-- artists. A changed staging table changes its published copy alike, columns in the same order.
alter table staging.session_artists add column plays integer[] not null default '{}';
alter table staging.session_artists alter column plays drop default;
comment on column staging.session_artists.plays is 'How many plays of 30 s or more each of the artists has in the session, in the same order.';

-- Models from before have none of it: they are fitted anew with the sessions marked below, and hand their personas on.
alter table staging.clustering_models
    add column weights double precision[] not null default '{}',
    add column artists text[] not null default '{}',
    add column artist_vectors double precision[] not null default '{}',
    add column mix text not null default '',
    add column lift double precision;
alter table ml.clustering_models
    add column weights double precision[] not null default '{}',
    add column artists text[] not null default '{}',
    add column artist_vectors double precision[] not null default '{}',
    add column mix text not null default '',
    add column lift double precision;
alter table staging.clustering_models
    alter column weights drop default, alter column artists drop default, alter column artist_vectors drop default,
    alter column mix drop default;
alter table ml.clustering_models
    alter column weights drop default, alter column artists drop default, alter column artist_vectors drop default,
    alter column mix drop default;

do $$
declare
    schema_name text;
begin
    foreach schema_name in array array['staging', 'ml'] loop
        execute format('comment on column %I.clustering_models.weights is %L', schema_name,
            'What each feature is multiplied by once scaled: its share of its block''s weight.');
        execute format('comment on column %I.clustering_models.artists is %L', schema_name,
            'The artists that have a vector.');
        execute format('comment on column %I.clustering_models.artist_vectors is %L', schema_name,
            'The vector of each of the artists, row by row, as many numbers each as there are features of content.');
        execute format('comment on column %I.clustering_models.mix is %L', schema_name,
            'What the groups are made by: the weights of what is played, how and when.');
        execute format('comment on column %I.clustering_models.lift is %L', schema_name,
            'Bits a play by which the personas of the newest training sessions predict what else is played in them.');
    end loop;
end
$$;

insert into pending_days (step, user_id, day)
select distinct 'session_features', user_id, local_date from staging.session_artists
on conflict do nothing;
