-- Audio features come when they come: the sessions in which their tracks were heard are built again.

create function mark_audio(changed_tracks text[]) returns void language sql
set search_path = pg_catalog, public, pg_temp as $$
    insert into pending_days (step, user_id, day)
    select distinct 'session_features', s.user_id, s.local_date
    from staging.track_totals t
    join staging.track_days d using (user_id, track_id)
    join staging.listening_events e
        on e.user_id = d.user_id and e.local_date = d.local_date and e.track_id = d.track_id
    join staging.listening_sessions s on s.user_id = e.user_id and s.session_id = e.session_id
    where t.track_id = any(changed_tracks)
    on conflict do nothing
$$;

-- Only the values that session_features averages count; a track that no source knows has none.
create function mark_new_audio() returns trigger language plpgsql set search_path = pg_catalog, public, pg_temp as $$
begin
    if exists (select from new_rows where energy is not null) then
        perform mark_audio(array(select track_id from new_rows where energy is not null));
    end if;
    return null;
end $$;
create function mark_changed_audio() returns trigger language plpgsql set search_path = pg_catalog, public, pg_temp as $$
declare
    changed_tracks text[] := array(
        select n.track_id
        from new_rows n
        join old_rows o using (track_id)
        where (n.energy, n.valence, n.danceability, n.acousticness, n.tempo)
            is distinct from (o.energy, o.valence, o.danceability, o.acousticness, o.tempo)
    );
begin
    if changed_tracks <> '{}' then
        perform mark_audio(changed_tracks);
    end if;
    return null;
end $$;
create trigger mark_new_audio after insert on audio_features referencing new table as new_rows
    for each statement execute function mark_new_audio();
create trigger mark_changed_audio after update on audio_features referencing new table as new_rows old table as old_rows
    for each statement execute function mark_changed_audio();
