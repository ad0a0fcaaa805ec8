-- The tenants of an installation: one brand each. The first one made it.
create table users.tenant (
  id uuid primary key,
  slug text not null check (slug ~ '^[a-z][a-z0-9-]{0,62}$'),
  name text not null check (length(name) between 1 and 120),
  -- Host names under which it is known, lower case and without a port.
  hosts text[] not null default '{}' check (cardinality(hosts) <= 20),
  status text not null default 'active' check (status in ('active', 'suspended')),
  version bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint tenant_slug unique (slug)
);
insert into users.tenant (id, slug, name)
  values ('01890000-0000-7000-8000-000000000001', 'nexus', 'Nexus COS');

-- A host name belongs to one tenant.
create table users.tenant_host (
  host text primary key,
  tenant_id uuid not null references users.tenant
);

-- Makes a tenant or gives it other words, and tells the platform; `seen` null makes one. Violates
-- `tenant_host_pkey` when a host is another's, and `tenant_changed`.
create function users.put_tenant(
  tenant uuid, seen bigint, slug text, name text, hosts text[], status text, at timestamptz
) returns void
language plpgsql as $$
begin
  if seen is null then
    insert into users.tenant (id, slug, name, hosts, status, created_at, updated_at)
    values (
      tenant, put_tenant.slug, put_tenant.name, put_tenant.hosts, put_tenant.status, at, at
    );
  else
    update users.tenant t
    set slug = put_tenant.slug, name = put_tenant.name, hosts = put_tenant.hosts,
        status = put_tenant.status, version = t.version + 1, updated_at = at
    where t.id = tenant and t.version = seen;
    if not found then
      perform users.refuse('tenant_changed');
    end if;
    delete from users.tenant_host h where h.tenant_id = tenant;
  end if;
  insert into users.tenant_host (host, tenant_id)
  select distinct h, tenant from unnest(put_tenant.hosts) h;
  perform platform.identity_tenant_put(
    tenant, put_tenant.slug, put_tenant.name, put_tenant.hosts, put_tenant.status);
end
$$;

-- What a tenant allows, replacing what it did; `seen` is the version that was decided about.
-- Violates `policy_changed` and `role_scope`.
create function users.put_policy(
  tenant uuid, seen bigint, registration text, email_domains text[], default_role uuid,
  mfa_roles uuid[], organisations_open boolean, at timestamptz, editor text
) returns void
language plpgsql as $$
begin
  perform users.hold(tenant);
  if not exists (
    select from users.role r
    where r.id = default_role and r.tenant_id in (tenant, users.everywhere())
      and r.scope = 'tenant'
  ) or exists (
    select from unnest(mfa_roles) m
    where not exists (
      select from users.role r
      where r.id = m and r.tenant_id in (tenant, users.everywhere())
    )
  ) then
    perform users.refuse('role_scope');
  end if;
  update users.policy p
  set registration = put_policy.registration, email_domains = put_policy.email_domains,
      default_role_id = default_role, mfa_role_ids = mfa_roles,
      organisations_open = put_policy.organisations_open, version = p.version + 1,
      updated_at = at, updated_by = editor
  where p.tenant_id = tenant and p.version = seen;
  if not found then
    perform users.refuse('policy_changed');
  end if;
end
$$;

-- Makes the first administrator of another tenant, who proves the address there, and tells of it
-- there: whoever makes a tenant is nobody in it.
create function users.appoint(
  tenant uuid, account uuid, email text, display_name text, binding uuid, event uuid,
  at timestamptz, giver text
) returns void
language plpgsql as $$
begin
  perform users.add_account(tenant, account, 'invited', appoint.email, false, appoint.email,
    appoint.email, null, appoint.display_name, null, '{}', at);
  perform users.grant_role(tenant, binding, account, '01890000-0000-7000-8000-00000000a001', null,
    null, null, at, giver);
  perform platform.publish('identity.user.invited.v1', event, account::text, tenant,
    jsonb_build_object('id', account), null);
end
$$;
