insert into pending_days (step, user_id, day)
select %(step)s, %(user_id)s, unnest(%(days)s::date[])
on conflict do nothing
