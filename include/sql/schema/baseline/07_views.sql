-- Plays as the customer asked for them: with what the catalogue says of their tracks, worked out when they are read.
create view analytics.analytics_listening_events as
select
    e.*,
    t.duration_ms,
    least(1.0, e.ms_played::double precision / nullif(t.duration_ms, 0)) as completion
from analytics.listening_events e
left join public.tracks t on t.track_id = e.track_id;
comment on view analytics.analytics_listening_events is 'Plays with their track''s length and how much of it was heard.';
comment on column analytics.analytics_listening_events.duration_ms is 'The track''s length in milliseconds, where known.';
comment on column analytics.analytics_listening_events.completion is 'Share of the track that was heard, at most 1.';

-- The other columns say what they say in the table.
do $$
declare
    described record;
begin
    for described in
        select attname, col_description(attrelid, attnum) as text
        from pg_attribute
        where attrelid = 'analytics.listening_events'::regclass and attnum > 0 and not attisdropped
    loop
        execute format('comment on column analytics.analytics_listening_events.%I is %L', described.attname, described.text);
    end loop;
end $$;
