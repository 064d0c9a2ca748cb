-- What depends on every other row (a rank, a share) or on the catalogue is worked out when it is read. Each view stands in
-- staging, for the scans, and in analytics, for readers.
do $$
declare
    s text;
    noun text;
    key text;
    described record;
begin
    foreach s in array array['staging', 'analytics'] loop
        execute format($view$
            create view %1$I.analytics_listening_events as
            select
                e.*,
                t.duration_ms,
                least(1.0, e.ms_played::double precision / nullif(t.duration_ms, 0)) as completion
            from %1$I.listening_events e
            left join public.tracks t on t.track_id = e.track_id
        $view$, s);

        execute format($view$
            create view %1$I.listening_clock as
            select
                user_id,
                extract(isodow from local_date)::smallint as weekday,
                hour,
                sum(plays)::bigint as plays,
                sum(ms_played)::bigint as ms_played
            from %1$I.listening_hours
            group by 1, 2, 3
        $view$, s);

        for noun, key in values ('artist', 'artist_name'), ('track', 'track_id'), ('album', 'artist_name, album_name') loop
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
            $view$, s, noun || '_stats', noun || '_totals', noun || '_days', key);
        end loop;

        for described in
            values
                ('analytics_listening_events', null, 'Plays with their track''s length and how much of it was heard.'),
                ('analytics_listening_events', 'duration_ms', 'The track''s length in milliseconds, where known.'),
                ('analytics_listening_events', 'completion', 'Share of the track that was heard, at most 1.'),
                ('listening_clock', null, 'Plays by hour and weekday.'),
                ('listening_clock', 'weekday', 'ISO weekday, 1 Monday to 7 Sunday.'),
                ('artist_stats', null, 'artist_totals with shares, skip rate, rank and rank change.'),
                ('artist_stats', 'plays_28d', 'Plays of the last 28 local days.'),
                ('artist_stats', 'previous_plays', 'Plays up to 28 days before.'),
                ('artist_stats', 'share_of_plays', 'Share of the listener''s plays.'),
                ('artist_stats', 'share_of_time', 'Share of the listener''s time.'),
                ('artist_stats', 'skip_rate', 'Share of the plays of which it is known, that were skipped: skips / (skips + heard); null where it is known of none.'),
                ('artist_stats', 'rank', 'Rank by plays, 1 the most played.'),
                ('artist_stats', 'previous_rank', 'Rank by the plays up to 28 days before analytics_user_metrics.as_of; null if there were none.'),
                ('artist_stats', 'rank_change', 'Places gained in these 28 days.'),
                ('track_stats', null, 'track_totals with shares, skip rate, rank and rank change.'),
                ('track_stats', 'plays_28d', 'Plays of the last 28 local days.'),
                ('track_stats', 'previous_plays', 'Plays up to 28 days before.'),
                ('track_stats', 'share_of_plays', 'Share of the listener''s plays.'),
                ('track_stats', 'share_of_time', 'Share of the listener''s time.'),
                ('track_stats', 'skip_rate', 'Share of the plays of which it is known, that were skipped: skips / (skips + heard); null where it is known of none.'),
                ('track_stats', 'rank', 'Rank by plays, 1 the most played.'),
                ('track_stats', 'previous_rank', 'Rank by the plays up to 28 days before analytics_user_metrics.as_of; null if there were none.'),
                ('track_stats', 'rank_change', 'Places gained in these 28 days.'),
                ('album_stats', null, 'album_totals with shares, skip rate, rank and rank change.'),
                ('album_stats', 'plays_28d', 'Plays of the last 28 local days.'),
                ('album_stats', 'previous_plays', 'Plays up to 28 days before.'),
                ('album_stats', 'share_of_plays', 'Share of the listener''s plays.'),
                ('album_stats', 'share_of_time', 'Share of the listener''s time.'),
                ('album_stats', 'skip_rate', 'Share of the plays of which it is known, that were skipped: skips / (skips + heard); null where it is known of none.'),
                ('album_stats', 'rank', 'Rank by plays, 1 the most played.'),
                ('album_stats', 'previous_rank', 'Rank by the plays up to 28 days before analytics_user_metrics.as_of; null if there were none.'),
                ('album_stats', 'rank_change', 'Places gained in these 28 days.')
        loop
            execute format(
                case when described.column2 is null then 'comment on view %1$I.%2$I is %4$L'
                    else 'comment on column %1$I.%2$I.%3$I is %4$L' end,
                s, described.column1, described.column2, described.column3
            );
        end loop;

        -- A column that is a table's own says what it says there.
        for described in
            select v.relname, a.attname, min(col_description(t.oid, b.attnum)) as text
            from pg_class v
            join pg_rewrite r on r.ev_class = v.oid
            join pg_attribute a on a.attrelid = v.oid
            join pg_depend d on d.objid = r.oid and d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass
            join pg_class t on t.oid = d.refobjid and t.relkind = 'r'
            join pg_attribute b on b.attrelid = t.oid and b.attnum = d.refobjsubid and b.attname = a.attname
            where v.relkind = 'v' and v.relnamespace = s::regnamespace and col_description(v.oid, a.attnum) is null
            group by 1, 2
        loop
            execute format('comment on column %I.%I.%I is %L', s, described.relname, described.attname, described.text);
        end loop;
    end loop;
end $$;
