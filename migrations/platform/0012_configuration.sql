-- What operators have set for components: one history for all of them, in which every change has
-- the next number. The configuration of a component at a number is, for each name, the last change
-- up to that number of its own scope, otherwise of the scope of all (`_`). So one number says
-- everything, and a revision that keeps its number keeps its values.
--
-- Secrets stand here encrypted, under keys that the database never sees.

create table platform.configuration_change (
  version bigint primary key check (version > 0),
  -- A component's name; `_` is all of them.
  component text not null
    check (component = '_' or component ~ '^[a-z][a-z0-9]*(-[a-z0-9]+)*$'),
  name text check (name ~ '^[a-z][a-z0-9_]{0,127}$'),
  -- value, secret, unset: of the name. outside: what is read from files or from Vault is another.
  kind text not null check (kind in ('value', 'secret', 'unset', 'outside')),
  value text check (length(value) <= 65536),
  sealed bytea check (length(sealed) <= 131072),
  -- Under which key it is sealed.
  key_id text check (key_id ~ '^[0-9a-f]{16}$'),
  -- Of what was read outside.
  fingerprint bytea check (length(fingerprint) = 32),
  changed_at timestamptz not null default now(),
  changed_by text not null check (length(changed_by) between 1 and 200),
  reason text not null default '' check (length(reason) <= 1000),
  check ((kind = 'outside') = (name is null)),
  check ((kind = 'value') = (value is not null)),
  check ((kind = 'secret') = (sealed is not null)),
  check ((kind = 'secret') = (key_id is not null)),
  check ((kind = 'outside') = (fingerprint is not null))
);
create index configuration_change_scope on platform.configuration_change (component, name, version);
create index configuration_change_key on platform.configuration_change (key_id)
  where key_id is not null;

-- A change stays as it is; only the key of a secret may be another.
create function platform.configuration_stays() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'UPDATE' and old.kind = 'secret'
    and (to_jsonb(new) - 'sealed' - 'key_id') = (to_jsonb(old) - 'sealed' - 'key_id') then
    return new;
  end if;
  raise exception 'what was configured stays in the history: make another change'
    using errcode = 'restrict_violation';
end
$$;
create trigger configuration_stays before update or delete on platform.configuration_change
  for each row execute function platform.configuration_stays();
create trigger configuration_is_not_emptied before truncate on platform.configuration_change
  for each statement execute function platform.configuration_stays();

-- The configuration of a component at a number: each name once, its own before that of all.
create function platform.configuration_at(component text, version bigint)
returns setof platform.configuration_change
language sql stable set search_path = pg_catalog, pg_temp as $$
  select distinct on (latest.name) latest.* from (
    select distinct on (c.component, c.name) c.*
    from platform.configuration_change c
    where c.component in (configuration_at.component, '_') and c.name is not null
      and c.version <= configuration_at.version
    order by c.component, c.name, c.version desc
  ) latest
  where latest.kind <> 'unset'
  order by latest.name, latest.component = '_'
$$;
revoke all on function platform.configuration_at(text, bigint) from public;
