-- What stands behind the single entry, as the gateway last saw it. Services belong to the
-- installation and not to a tenant, so these rows have none; aliases are each tenant's own.

create table gateway.service (
  name text primary key check (name ~ '^[a-z][a-z0-9-]{0,62}$'),
  domain text not null,
  duty text not null,
  -- Other names that stand for it alone: as they are spelled, and as they are compared.
  aliases text[] not null,
  alias_keys text[] not null,
  modules text[] not null,
  -- missing: not part of this installation. failing: part of it, and it does not answer.
  state text not null check (state in ('running', 'failing', 'missing')),
  version text,
  -- Where its routes begin.
  bases text[] not null default '{}',
  operations int not null default 0,
  -- Of its OpenAPI document.
  digest text,
  seen_at timestamptz not null
);

create table gateway.operation (
  service text not null references gateway.service on delete cascade,
  method text not null,
  path text not null,
  operation_id text not null,
  door text not null,
  permission text,
  primary key (service, method, path)
);

-- `v1` of a service, and when it ends.
create table gateway.api_version (
  service text not null,
  version text not null check (version ~ '^v[1-9][0-9]{0,2}$'),
  deprecated_at timestamptz,
  sunset_at timestamptz,
  successor text check (successor ~ '^v[1-9][0-9]{0,2}$'),
  notice_url text check (length(notice_url) <= 500),
  revision bigint not null default 1,
  updated_at timestamptz not null,
  updated_by text not null default '',
  primary key (service, version),
  check (sunset_at is null or (deprecated_at is not null and sunset_at >= deprecated_at))
);

create table gateway.alias (
  tenant_id uuid not null,
  name text not null check (name ~ '^[a-z][a-z0-9-]{0,62}$'),
  service text not null check (service ~ '^[a-z][a-z0-9-]{0,62}$'),
  note text not null default '' check (length(note) <= 200),
  version bigint not null default 1,
  updated_at timestamptz not null,
  updated_by text not null,
  primary key (tenant_id, name),
  check (name <> service)
);

-- Writes down one look at all services. Where `operations` is null they are what they were.
create function gateway.record(seen jsonb, at timestamptz) returns void
language plpgsql as $$
declare
  one jsonb;
begin
  -- Two hosts that look at the same time go one after the other.
  perform pg_advisory_xact_lock(hashtext('gateway.record'));
  for one in select e from jsonb_array_elements(seen) e loop
    insert into gateway.service (name, domain, duty, aliases, alias_keys, modules, state, version,
      bases, operations, digest, seen_at)
    values (one ->> 'name', one ->> 'domain', one ->> 'duty',
      array(select jsonb_array_elements_text(one -> 'aliases')),
      array(select jsonb_array_elements_text(one -> 'alias_keys')),
      array(select jsonb_array_elements_text(one -> 'modules')),
      one ->> 'state', one ->> 'version',
      array(select jsonb_array_elements_text(one -> 'bases')),
      (one ->> 'count')::int, one ->> 'digest', at)
    on conflict (name) do update set domain = excluded.domain, duty = excluded.duty,
      aliases = excluded.aliases, alias_keys = excluded.alias_keys, modules = excluded.modules,
      state = excluded.state, seen_at = excluded.seen_at;
    -- What does not answer is described as it was last seen.
    continue when one ->> 'state' = 'failing';
    update gateway.service s set version = one ->> 'version',
      bases = array(select jsonb_array_elements_text(one -> 'bases')),
      operations = (one ->> 'count')::int, digest = one ->> 'digest'
      where s.name = one ->> 'name';
    continue when jsonb_typeof(one -> 'operations') is distinct from 'array';
    delete from gateway.operation o where o.service = one ->> 'name';
    insert into gateway.operation (service, method, path, operation_id, door, permission)
      select one ->> 'name', o.method, o.path, o.operation_id, o.door, o.permission
      from jsonb_to_recordset(one -> 'operations')
        as o (method text, path text, operation_id text, door text, permission text)
      on conflict do nothing;
    insert into gateway.api_version (service, version, updated_at)
      select distinct one ->> 'name', split_part(o.path, '/', 4), at
      from jsonb_to_recordset(one -> 'operations') as o (path text)
      where o.path ~ ('^/api/' || (one ->> 'name') || '/v[1-9][0-9]{0,2}/')
      on conflict do nothing;
  end loop;
  -- What a release has taken out of the registry is gone.
  delete from gateway.service s
    where s.name not in (select e ->> 'name' from jsonb_array_elements(seen) e);
end
$$;
