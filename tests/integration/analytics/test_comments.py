"""The database describes itself."""

MISSING = """
    select format('%s.%s%s', n.nspname, c.relname, '.' || a.attname)
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where n.nspname in ('public', 'staging', 'analytics', 'ml') and c.relkind in ('r', 'p', 'v', 'm')
        and c.relname <> 'alembic_version' and col_description(c.oid, a.attnum) is null
    union all
    select format('%s.%s', n.nspname, c.relname)
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('public', 'staging', 'analytics', 'ml') and c.relkind in ('r', 'p', 'v', 'm')
        and c.relname <> 'alembic_version' and obj_description(c.oid) is null
    order by 1
"""


def test_every_table_and_column_has_a_comment(connection):
    assert [name for (name,) in connection.execute(MISSING)] == []
