-- Statistics count plays of 30 s or more and plays heard; diversity is the effective number of artists; words that code
-- writes and pages show stand once, as constraints.

-- Words -----------------------------------------------------------------------------------------------------------

-- Each vocabulary stands here and nowhere else. A page has a look for each word (dashboards/vocabularies.py); a test
-- compares the two.
do $$
declare
    spotify_errors text[] := array['not_authorized', 'refused', 'rate_limited', 'quota', 'unavailable', 'error'];
    sources text[] := array['api', 'extended_history', 'account_history'];
    kinds text[] := array['familiar', 'rediscovered', 'new'];
    reasons text[] := array[
        'same_play_as_export', 'logged_twice', 'podcast_episode', 'audiobook', 'video', 'quarantined', 'missing_track_id',
        'impossible_timestamp', 'impossible_duration', 'no_playback'
    ];
    place text;
    name text;
    words text[];
begin
    for place, name, words in values
        ('public.raw_listening_events', 'source', sources),
        ('public.raw_listening_events', 'item_type', array['track', 'episode', 'audiobook', 'video', 'local']),
        ('public.raw_quarantine', 'source', sources),
        ('staging.listening_events', 'source', sources),
        ('analytics.listening_events', 'source', sources),
        ('staging.excluded_events', 'source', sources),
        ('analytics.excluded_events', 'source', sources),
        ('staging.excluded_events', 'reason', reasons),
        ('analytics.excluded_events', 'reason', reasons),
        ('public.ingested_files', 'status', array['loaded', 'partial', 'rejected', 'ignored']),
        ('public.ingestion_state', 'pipeline', array['recently_played', 'streaming_history', 'window_watch']),
        ('public.ingestion_state', 'status', array['ok'] || spotify_errors),
        ('public.published_playlists', 'status', array['created', 'published'] || spotify_errors),
        ('public.audio_features', 'source', array['spotify', 'reccobeats']),
        ('public.audio_features', 'status', array['found', 'unknown']),
        ('public.qa_validation_results', 'scan', array['raw', 'analytics', 'ml']),
        ('public.qa_validation_results', 'outcome', array['PASS', 'WARN', 'FAIL']),
        ('public.qa_validation_results', 'severity', array['critical', 'major', 'minor']),
        ('staging.playlist_tracks', 'kind', kinds),
        ('ml.playlist_tracks', 'kind', kinds)
    loop
        execute format('alter table %s add constraint known_%s check (%I = any (%L::text[]))', place, name, name, words);
    end loop;
end $$;

-- Why rows of an export were skipped: the keys of a JSON object. wrong_type_<field> names the field.
alter table ingested_files add constraint known_skipped_rows check (not jsonb_path_exists(
    skipped_rows,
    '$.keyvalue() ? (!(@.key like_regex "^(no_timestamp|bad_timestamp|timestamp_out_of_range|ms_played_out_of_range|too_large|bad_track_uri|nothing_played|not_an_object|not_utf8|not_json|nested_too_deep|wrong_type_[A-Za-z_]+)$"))'
));

-- Diversity -------------------------------------------------------------------------------------------------------

create function effective_number(total numeric, squares numeric) returns double precision
language sql immutable parallel safe return total::double precision ^ 2 / nullif(squares::double precision, 0);
comment on function effective_number(numeric, numeric) is
    'How many artists, each played equally often, would be as diverse: 1 / sum of squared shares (Hill number of order 2, M. O. Hill, Ecology 54, 1973). total: sum of the plays of each artist; squares: sum of their squares. Null without plays.';

-- Counts ----------------------------------------------------------------------------------------------------------

do $$
declare
    s text;
    name text;
    keys text;
    noun text;
begin
    foreach s in array array['staging', 'analytics'] loop
        foreach name in array array[
            'listening_sessions', 'daily_trends', 'artist_days', 'artist_totals', 'track_days', 'track_totals', 'album_days',
            'album_totals', 'analytics_user_metrics'
        ] loop
            execute format('alter table %I.%I add column plays_30s integer not null default 0,
                add column heard integer not null default 0', s, name);
            execute format('alter table %I.%I alter column plays_30s drop default, alter column heard drop default', s, name);
            execute format('comment on column %I.%I.plays_30s is %L', s, name, 'Plays of 30 s or more.');
            execute format('comment on column %I.%I.heard is %L', s, name,
                'Plays that were heard and not skipped. plays - skips - heard: plays of which neither is known.');
            -- What is filled in below is no change of what a run made.
            if s = 'staging' then
                execute format('alter table %I.%I disable trigger user', s, name);
            end if;
        end loop;

        execute format('alter table %I.daily_trends rename column artist_diversity to effective_artists', s);
        execute format('alter table %I.analytics_user_metrics rename column artist_diversity_28d to effective_artists_28d', s);
        execute format('comment on column %I.daily_trends.effective_artists is %L', s,
            'How many artists, each played equally often, would make the day as diverse: 1 / sum of squared shares of plays; see effective_number().');
        execute format('comment on column %I.analytics_user_metrics.effective_artists_28d is %L', s,
            'effective_number() of the plays of the last 28 local days; 0 without plays.');

        execute format($fill$
            update %1$I.listening_sessions o set plays_30s = n.plays_30s, heard = n.heard
            from (
                select user_id, session_id, count(*) filter (where ms_played >= 30000) as plays_30s,
                    count(*) filter (where not skipped) as heard
                from %1$I.listening_events group by user_id, session_id
            ) n
            where n.user_id = o.user_id and n.session_id = o.session_id
        $fill$, s);
        for noun, keys in values ('artist', 'artist_name'), ('track', 'track_id'), ('album', 'artist_name, album_name') loop
            execute format($fill$
                update %1$I.%2$s_days o set plays_30s = n.plays_30s, heard = n.heard
                from (
                    select user_id, local_date, %3$s, count(*) filter (where ms_played >= 30000) as plays_30s,
                        count(*) filter (where not skipped) as heard
                    from %1$I.listening_events group by user_id, local_date, %3$s
                ) n
                where (n.user_id, n.local_date, %4$s) = (o.user_id, o.local_date, %5$s)
            $fill$, s, noun, keys, 'n.' || replace(keys, ', ', ', n.'), 'o.' || replace(keys, ', ', ', o.'));
            execute format($fill$
                update %1$I.%2$s_totals o set plays_30s = n.plays_30s, heard = n.heard
                from (
                    select user_id, %3$s, sum(plays_30s) as plays_30s, sum(heard) as heard
                    from %1$I.%2$s_days group by user_id, %3$s
                ) n
                where (n.user_id, %4$s) = (o.user_id, %5$s)
            $fill$, s, noun, keys, 'n.' || replace(keys, ', ', ', n.'), 'o.' || replace(keys, ', ', ', o.'));
        end loop;
        execute format($fill$
            update %1$I.daily_trends o
            set plays_30s = n.plays_30s, heard = n.heard, effective_artists = n.effective_artists
            from (
                select user_id, local_date, sum(plays_30s) as plays_30s, sum(heard) as heard,
                    effective_number(sum(plays), sum(plays::bigint * plays)) as effective_artists
                from %1$I.artist_days group by user_id, local_date
            ) n
            where n.user_id = o.user_id and n.local_date = o.local_date
        $fill$, s);
        execute format($fill$
            update %1$I.analytics_user_metrics o
            set plays_30s = n.plays_30s, heard = n.heard, effective_artists_28d = coalesce((
                select effective_number(sum(a.plays), sum(a.plays * a.plays))
                from (
                    select sum(d.plays) as plays from %1$I.artist_days d
                    where d.user_id = o.user_id and d.local_date between o.as_of - 27 and o.as_of
                    group by d.artist_name
                ) a
            ), 0)
            from (
                select user_id, sum(plays_30s) as plays_30s, sum(heard) as heard from %1$I.daily_trends group by user_id
            ) n
            where n.user_id = o.user_id
        $fill$, s);
    end loop;
    for name in select t.table_name from staging.published_tables t where t.published_schema = 'analytics' loop
        execute format('alter table staging.%I enable trigger user', name);
    end loop;
end $$;

-- Rankings on read, with the new counts. The skip rate is that of the plays of which it is known whether they were skipped.
do $$
declare
    s text;
    noun text;
    keys text;
    described record;
begin
    create temp table view_comments on commit drop as
    select n.nspname, c.relname, coalesce(a.attname, '') as attname, d.description
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join pg_description d on d.objoid = c.oid and d.classoid = 'pg_class'::regclass
    left join pg_attribute a on a.attrelid = c.oid and a.attnum = d.objsubid and d.objsubid > 0
    where n.nspname in ('staging', 'analytics') and c.relname in ('artist_stats', 'track_stats', 'album_stats');

    foreach s in array array['staging', 'analytics'] loop
        for noun, keys in values ('artist', 'artist_name'), ('track', 'track_id'), ('album', 'artist_name, album_name') loop
            execute format('drop view %I.%I', s, noun || '_stats');
            execute format($view$
                create view %1$I.%2$I as
                with
                totals as (
                    select * from %1$I.%3$I
                ),
                recent as (
                    select d.user_id, %5$s, sum(d.plays) as plays
                    from %1$I.%4$I d
                    join %1$I.analytics_user_metrics m using (user_id)
                    where d.local_date > m.as_of - 28
                    group by d.user_id, %5$s
                ),
                compared as (
                    select t.*, coalesce(r.plays, 0) as plays_28d, t.plays - coalesce(r.plays, 0) as previous_plays
                    from totals t
                    left join recent r using (user_id, %5$s)
                ),
                ranked as (
                    select
                        *,
                        plays::double precision / sum(plays) over listener as share_of_plays,
                        ms_played::double precision / nullif(sum(ms_played) over listener, 0) as share_of_time,
                        skips::double precision / nullif(skips + heard, 0) as skip_rate,
                        rank() over (listener order by plays desc) as rank,
                        case when previous_plays > 0
                            then rank() over (listener order by previous_plays desc)
                        end as previous_rank
                    from compared
                    window listener as (partition by user_id)
                )
                select *, previous_rank - rank as rank_change from ranked
            $view$, s, noun || '_stats', noun || '_totals', noun || '_days', keys);
            for described in
                select c.attname, c.description from view_comments c where c.nspname = s and c.relname = noun || '_stats'
                union all
                values
                    ('plays_30s', 'Plays of 30 s or more.'),
                    ('heard', 'Plays that were heard and not skipped. plays - skips - heard: plays of which neither is known.')
            loop
                execute format(
                    case described.attname when '' then 'comment on view %1$I.%2$I is %4$L' else 'comment on column %1$I.%2$I.%3$I is %4$L' end,
                    s, noun || '_stats', described.attname, described.description
                );
            end loop;
            execute format('comment on column %I.%I.skip_rate is %L', s, noun || '_stats',
                'Share of the plays of which it is known, that were skipped: skips / (skips + heard); null where it is known of none.');
        end loop;
    end loop;
end $$;
