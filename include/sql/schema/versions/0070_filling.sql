-- Filling an empty table builds its indexes once, when the rows are there: half the time of adding to them row by row.

-- What begin_fill() took away and end_fill() brings back, within one transaction: nobody ever sees a row here.
create table staging.dropped_indexes (
    table_name text not null,
    index_name text not null,
    is_primary_key boolean not null,
    definition text not null,
    primary key (table_name, index_name)
);
revoke all on staging.dropped_indexes from listening_writer;
comment on table staging.dropped_indexes is 'Indexes that a transaction takes off an empty table while it fills it; always empty to others.';
comment on column staging.dropped_indexes.table_name is 'Table of schema staging.';
comment on column staging.dropped_indexes.index_name is 'Name of the index, or of the constraint it belongs to.';
comment on column staging.dropped_indexes.is_primary_key is 'Whether it is the table''s primary key.';
comment on column staging.dropped_indexes.definition is 'How it is made again.';

-- Before `added` rows are inserted into staging.<name>. Does nothing where it would not pay (few rows), or where rows are
-- already, or when somebody reads the table: nobody is waited for.
create function staging.begin_fill(name text, added bigint) returns void
language plpgsql security definer set search_path = pg_catalog as $$
declare
    is_empty boolean;
    dropped staging.dropped_indexes;
begin
    if added < 20000 then
        return;
    end if;
    begin
        execute format('lock table staging.%I in access exclusive mode nowait', name);
    exception when lock_not_available then
        return;
    end;
    execute format('select not exists (select from staging.%I)', name) into is_empty;
    if not is_empty then
        return;
    end if;
    for dropped in
        insert into staging.dropped_indexes
        select name, c.relname, i.indisprimary,
            case when i.indisprimary then pg_get_constraintdef(k.oid) else pg_get_indexdef(i.indexrelid) end
        from pg_index i
        join pg_class c on c.oid = i.indexrelid
        left join pg_constraint k on k.conindid = i.indexrelid and k.contype = 'p'
        where i.indrelid = format('staging.%I', name)::regclass
        returning *
    loop
        if dropped.is_primary_key then
            execute format('alter table staging.%I drop constraint %I', name, dropped.index_name);
        else
            execute format('drop index staging.%I', dropped.index_name);
        end if;
    end loop;
end $$;

create function staging.end_fill(name text) returns void
language plpgsql security definer set search_path = pg_catalog as $$
declare
    dropped staging.dropped_indexes;
begin
    for dropped in delete from staging.dropped_indexes d where d.table_name = name returning * loop
        if dropped.is_primary_key then
            execute format('alter table staging.%I add constraint %I %s', name, dropped.index_name, dropped.definition);
        else
            execute dropped.definition;
        end if;
    end loop;
end $$;
