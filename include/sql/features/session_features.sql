-- Makes staging.session_features equal new_features for the changed_sessions: writes rows that differ, removes rows of sessions
-- that are gone, and marks session_clusters.
create temp table changed_days (
    user_id text not null, local_date date not null, written bigint not null, removed bigint not null
) on commit drop;

with
gone as (
    delete from staging.session_features f
    using marked_days m
    where m.user_id = f.user_id and m.day = f.local_date
        and not exists (
            select from new_features n where n.user_id = f.user_id and n.session_id = f.session_id
        )
    returning f.user_id, f.local_date
)
insert into changed_days
select user_id, local_date, 0, count(*) from gone group by user_id, local_date;

-- What is left in new_features has changed.
delete from new_features n
using staging.session_features f
where f.user_id = n.user_id and f.session_id = n.session_id and f.* is not distinct from n.*;

with
outdated as (
    delete from staging.session_features f
    using new_features n
    where n.user_id = f.user_id and n.session_id = f.session_id
    returning f.user_id, f.local_date
)
insert into changed_days
select user_id, local_date, 0, count(*) from outdated group by user_id, local_date
union all
select user_id, local_date, count(*), 0 from new_features group by user_id, local_date;

select staging.begin_fill('session_features', (select count(*) from new_features));

insert into staging.session_features select * from new_features;

select staging.end_fill('session_features');

select staging.refresh_statistics('session_features', (select count(*) from new_features));

select staging.mark_readers('session_features', 'changed_days');
