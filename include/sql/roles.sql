-- The three roles of the listening database; run once by a superuser, before the first migration.
-- Passwords, where the server asks for any, are set by whoever runs the server.
do $$
declare
    name text;
begin
    foreach name in array array['listening_owner', 'listening_writer', 'listening_reader'] loop
        if not exists (select from pg_roles where rolname = name) then
            execute format('create role %I login', name);
        end if;
    end loop;
    execute 'alter role listening_reader set default_transaction_read_only = on';
end $$;
