-- Joining and leaving organisations, invitations, and the end of an account.

-- An invitation into an organisation, or (organisation_id null) to register in the tenant.
create table users.invite (
  tenant_id uuid not null,
  id uuid not null,
  organisation_id uuid,
  -- Lower case.
  email text not null check (length(email) between 3 and 254),
  role_id uuid,
  state text not null default 'pending'
    check (state in ('pending', 'accepted', 'declined', 'withdrawn', 'expired')),
  -- SHA-256 of the secret in the link; null until the letter is written.
  digest bytea check (octet_length(digest) = 32),
  locale text,
  created_at timestamptz not null,
  created_by text not null,
  expires_at timestamptz not null,
  settled_at timestamptz,
  primary key (tenant_id, id),
  constraint invite_digest unique (digest),
  foreign key (tenant_id, organisation_id) references users.organisation
);
create unique index invite_pending on users.invite (
  tenant_id, email, coalesce(organisation_id, '00000000-0000-0000-0000-000000000000')
) where state = 'pending';
create index invite_expires_at on users.invite (expires_at) where state = 'pending';
create index invite_settled_at on users.invite (settled_at) where settled_at is not null;

-- Makes an organisation with its first owner. Violates `organisations_max`.
create function users.found_organisation(
  tenant uuid, organisation uuid, slug text, name text, founder uuid, binding uuid,
  at timestamptz
) returns void
language plpgsql as $$
begin
  perform users.hold(tenant);
  if (
    select count(*) from users.organisation o
    where o.tenant_id = tenant and o.created_by = founder::text and o.status = 'active'
  ) >= 50 then
    perform users.refuse('organisations_max');
  end if;
  insert into users.organisation (
    tenant_id, id, slug, name, created_at, created_by, updated_at
  ) values (
    tenant, organisation, found_organisation.slug, found_organisation.name, at, founder::text, at
  );
  insert into users.membership (tenant_id, organisation_id, user_id, joined_at)
  values (tenant, organisation, founder, at);
  perform users.grant_role(tenant, binding, founder, '01890000-0000-7000-8000-00000000a011', null,
    organisation, null, at, founder::text);
end
$$;

-- Makes somebody a member. Violates `organisation_gone`, `members_max`, and what
-- users.grant_role does. Joining again changes nothing.
create function users.join_organisation(
  tenant uuid, organisation uuid, account uuid, binding uuid, role uuid, role_version bigint,
  at timestamptz, giver text
) returns void
language plpgsql as $$
begin
  perform users.hold(tenant);
  if not exists (
    select from users.organisation o
    where o.tenant_id = tenant and o.id = organisation and o.status = 'active'
  ) then
    perform users.refuse('organisation_gone');
  end if;
  if not exists (
    select from users.account a
    where a.tenant_id = tenant and a.id = account and a.status in ('active', 'invited')
  ) then
    perform users.refuse('no_such_account');
  end if;
  if (
    select count(*) from users.membership m
    where m.tenant_id = tenant and m.organisation_id = organisation
  ) >= 10000 then
    perform users.refuse('members_max');
  end if;
  -- What the platform keeps for a subject is read with it.
  if (
    select count(*) from users.membership m where m.tenant_id = tenant and m.user_id = account
  ) >= 100 then
    perform users.refuse('memberships_max');
  end if;
  insert into users.membership (tenant_id, organisation_id, user_id, joined_at)
  values (tenant, organisation, account, at) on conflict do nothing;
  perform users.grant_role(
    tenant, binding, account, role, role_version, organisation, null, at, giver);
end
$$;

-- Ends a membership with its roles. Violates `no_such_member` and `last_owner`.
create function users.leave_organisation(
  tenant uuid, organisation uuid, account uuid, at timestamptz
) returns void
language plpgsql as $$
declare
  owned boolean;
begin
  perform users.hold(tenant);
  owned := users.has_owner(tenant, organisation);
  delete from users.membership m
  where m.tenant_id = tenant and m.organisation_id = organisation and m.user_id = account;
  if not found then
    perform users.refuse('no_such_member');
  end if;
  perform platform.identity_organisation_put(tenant, account::text, organisation::text, null);
  perform users.keep_owned(tenant, organisation, owned);
end
$$;

-- Ends an organisation: nobody acts for it any more.
create function users.archive_organisation(
  tenant uuid, organisation uuid, seen bigint, at timestamptz
) returns void
language plpgsql as $$
begin
  perform users.hold(tenant);
  update users.organisation o
  set status = 'archived', version = o.version + 1, updated_at = at,
      -- The name is free for another one.
      slug = left(o.slug, 26) || '-' || o.id
  where o.tenant_id = tenant and o.id = organisation and o.version = seen
    and o.status = 'active';
  if not found then
    perform users.refuse('organisation_changed');
  end if;
  perform platform.identity_organisation_put(
    tenant, m.user_id::text, organisation::text, null)
  from users.membership m where m.tenant_id = tenant and m.organisation_id = organisation;
  delete from users.membership m
  where m.tenant_id = tenant and m.organisation_id = organisation;
  update users.invite i set state = 'withdrawn', settled_at = at
  where i.tenant_id = tenant and i.organisation_id = organisation and i.state = 'pending';
end
$$;

-- Edits a role of the tenant and tells the platform of its first holders; the others follow.
-- Violates `role_changed` and `last_administrator`.
create function users.edit_role(
  tenant uuid, role uuid, seen bigint, name text, description text, permissions text[],
  at timestamptz, editor text
) returns void
language plpgsql as $$
declare
  administered boolean;
begin
  perform users.hold(tenant);
  administered := users.has_administrator(tenant);
  update users.role r
  set name = edit_role.name, description = edit_role.description,
      permissions = edit_role.permissions, version = r.version + 1, updated_at = at,
      updated_by = editor
  where r.tenant_id = tenant and r.id = role and r.version = seen;
  if not found then
    perform users.refuse('role_changed');
  end if;
  perform users.project_holders(tenant, role, at, 500);
  perform users.keep_administered(tenant, administered);
end
$$;

-- Removes a role that nobody has any more. Violates `role_changed` and `role_in_use`.
create function users.remove_role(tenant uuid, role uuid, at timestamptz) returns void
language plpgsql as $$
begin
  perform users.hold(tenant);
  if exists (select from users.binding b where b.tenant_id = tenant and b.role_id = role)
      or exists (select from users.group_role g where g.tenant_id = tenant and g.role_id = role)
      or exists (
        select from users.policy p where p.tenant_id = tenant and p.default_role_id = role
      ) then
    perform users.refuse('role_in_use');
  end if;
  delete from users.role r where r.tenant_id = tenant and r.id = role;
  if not found then
    perform users.refuse('role_changed');
  end if;
end
$$;

-- Replaces who is in a group, and tells the platform. `members` null leaves them as they are.
create function users.set_group_members(
  tenant uuid, directory_group uuid, members uuid[], at timestamptz
) returns void
language plpgsql as $$
declare
  administered boolean;
  one uuid;
  changed uuid[];
begin
  perform users.hold(tenant);
  administered := users.has_administrator(tenant);
  if exists (
    select from unnest(members) m
    where not exists (
      select from users.account a
      where a.tenant_id = tenant and a.id = m and a.status <> 'erased'
    )
  ) then
    perform users.refuse('no_such_account');
  end if;
  changed := array(
    select m.user_id from users.group_member m
    where m.tenant_id = tenant and m.group_id = directory_group
      and m.user_id <> all (members)
    union
    select m from unnest(members) m
    where not exists (
      select from users.group_member o
      where o.tenant_id = tenant and o.group_id = directory_group and o.user_id = m
    )
  );
  delete from users.group_member m
  where m.tenant_id = tenant and m.group_id = directory_group and m.user_id <> all (members);
  insert into users.group_member (tenant_id, group_id, user_id)
  select distinct tenant, directory_group, m from unnest(members) m
  on conflict do nothing;
  foreach one in array changed loop
    perform users.project(tenant, one, at);
  end loop;
  perform users.keep_administered(tenant, administered);
end
$$;

-- Replaces the roles that hang on a group. Violates `role_changed`, `role_scope`,
-- `last_administrator`.
create function users.set_group_roles(
  tenant uuid, directory_group uuid, roles uuid[], at timestamptz
) returns void
language plpgsql as $$
declare
  administered boolean;
  one uuid;
begin
  perform users.hold(tenant);
  administered := users.has_administrator(tenant);
  if exists (
    select from unnest(roles) g
    where not exists (
      select from users.role r
      where r.id = g and r.tenant_id in (tenant, users.everywhere()) and r.scope = 'tenant'
    )
  ) then
    perform users.refuse('role_scope');
  end if;
  delete from users.group_role g
  where g.tenant_id = tenant and g.group_id = directory_group and g.role_id <> all (roles);
  insert into users.group_role (tenant_id, group_id, role_id)
  select distinct tenant, directory_group, r from unnest(roles) r
  on conflict do nothing;
  for one in
    select m.user_id from users.group_member m
    where m.tenant_id = tenant and m.group_id = directory_group
  loop
    perform users.project(tenant, one, at);
  end loop;
  perform users.keep_administered(tenant, administered);
end
$$;

-- Removes a group; whoever had something by it has it no more.
create function users.remove_group(
  tenant uuid, directory_group uuid, seen bigint, at timestamptz
) returns void
language plpgsql as $$
begin
  perform users.hold(tenant);
  if not exists (
    select from users.directory_group g
    where g.tenant_id = tenant and g.id = directory_group
      and g.version = coalesce(seen, g.version)
  ) then
    perform users.refuse('group_changed');
  end if;
  perform users.set_group_members(tenant, directory_group, '{}', at);
  delete from users.directory_group g where g.tenant_id = tenant and g.id = directory_group;
end
$$;

-- Takes away the roles whose time is over, at most so many, in all tenants. Returns how many.
create function users.end_bindings(at timestamptz, rows_max int) returns bigint
language plpgsql as $$
declare
  b users.binding;
  ended bigint := 0;
begin
  for b in
    select * from users.binding o where o.expires_at <= at
    order by o.tenant_id, o.id limit rows_max
  loop
    perform users.hold(b.tenant_id);
    delete from users.binding o
    where o.tenant_id = b.tenant_id and o.id = b.id and o.expires_at <= at;
    if found then
      perform users.project(b.tenant_id, b.user_id, at);
      ended := ended + 1;
    end if;
  end loop;
  return ended;
end
$$;

-- Forgets a person: the id stays, so that what others keep still has a name that says nothing.
-- Violates `account_changed`, `last_administrator`.
create function users.erase(tenant uuid, account uuid, seen bigint, at timestamptz) returns void
language plpgsql as $$
declare
  administered boolean;
  address text;
begin
  perform users.hold(tenant);
  administered := users.has_administrator(tenant);
  select a.email into address from users.account a
    where a.tenant_id = tenant and a.id = account;
  delete from users.membership m where m.tenant_id = tenant and m.user_id = account;
  delete from users.binding b where b.tenant_id = tenant and b.user_id = account;
  delete from users.group_member g where g.tenant_id = tenant and g.user_id = account;
  delete from users.invite i where i.tenant_id = tenant and i.email = address;
  delete from users.relation r
  where r.tenant_id = tenant and r.subject_kind = 'user' and r.subject_id = account::text;
  update users.account a
  set status = 'erased', status_reason = null, email = null, email_verified = false,
      user_name = null, user_key = null, external_id = null, display_name = null, locale = null,
      attributes = '{}', last_login_at = null, updated_at = at, version = a.version + 1
  where a.tenant_id = tenant and a.id = account and a.version = coalesce(seen, a.version)
    and a.status <> 'erased';
  if not found then
    perform users.refuse('account_changed');
  end if;
  perform users.project(tenant, account, at);
  perform users.keep_administered(tenant, administered);
end
$$;
