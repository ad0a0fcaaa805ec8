-- Who the services are. A service logs in as its own role; every function that it may call asks
-- session_user, which a login cannot change, and never an argument.

-- What a later file forgets to grant stays forbidden, instead of what it forgets to revoke.
alter default privileges revoke execute on functions from public;

-- Extensions stand here, so that all services share them: `create extension x schema extension`.
create schema extension;
grant usage on schema extension to public;

-- Empty on servers from release 15 on; older databases that were upgraded still allow it.
do $$
begin
  if has_schema_privilege('public', 'public', 'create') then
    revoke create on schema public from public;
  end if;
end
$$;

create table platform.service (
  role name primary key,
  service text not null unique,
  admitted_at timestamptz not null default now()
);

-- The service of the session that calls.
create function platform.caller() returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  found_service text;
begin
  select s.service into found_service from platform.service s where s.role = session_user;
  if found_service is null then
    raise exception '% is not a service', session_user using errcode = '42501';
  end if;
  return found_service;
end
$$;

-- The host's: gives a login role its schema, the platform's functions, and nothing else.
create function platform.admit(service text, role name) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  -- Two hosts granting at once would fail on the same catalog rows.
  lock table platform.service in share row exclusive mode;
  insert into platform.service (role, service) values (admit.role, admit.service)
    on conflict do nothing;
  if not exists (
    select from platform.service s where s.role = admit.role and s.service = admit.service
  ) then
    raise exception 'role % stands for another service than %', admit.role, admit.service
      using errcode = '42710';
  end if;
  execute format('create schema if not exists %I', admit.role);
  execute format('revoke all on schema %I from public', admit.role);
  execute format('grant usage on schema %I, platform to %I', admit.role, admit.role);
  execute format(
    'grant select, insert, update, delete on all tables in schema %I to %I', role, role);
  execute format('grant usage, select on all sequences in schema %I to %I', role, role);
  execute format('grant execute on all routines in schema %I to %I', role, role);
  execute format(
    'alter default privileges in schema %I grant select, insert, update, delete on tables to %I',
    role, role);
  execute format(
    'alter default privileges in schema %I grant usage, select on sequences to %I', role, role);
  execute format(
    'alter default privileges in schema %I grant execute on routines to %I', role, role);
  execute format('grant connect on database %I to %I', current_database(), role);
end
$$;
