with newest_plays as (
    select played_at
    from raw_listening_events
    where user_id = %(user_id)s and source = %(source)s
    order by played_at desc
    limit %(settled_plays)s
),

moments as (
    select min(played_at) as settled_until from newest_plays
    union all
    select last_played_at from ingestion_state where user_id = %(user_id)s and pipeline = 'streaming_history'
)

select max(settled_until) from moments
