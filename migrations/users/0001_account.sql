-- Who there is in a tenant, which roles they have, and what follows from that. What somebody may do
-- is written to the platform in the commit that changes it (users.project), where every host reads
-- it; nothing here is asked at a request.

-- Built-in roles belong to no tenant and are the same in all of them.
create function users.everywhere() returns uuid
language sql immutable return '00000000-0000-0000-0000-000000000000'::uuid;

-- What a tenant allows. Its row is also the lock of the tenant: whatever changes what somebody may
-- do holds it to its end, so that a role is not edited while it is being given.
create table users.policy (
  tenant_id uuid primary key,
  registration text not null default 'open' check (registration in ('open', 'invite', 'closed')),
  -- Addresses that may register or be invited; empty is any.
  email_domains text[] not null default '{}' check (cardinality(email_domains) <= 100),
  -- What everybody has from the beginning.
  default_role_id uuid not null default '01890000-0000-7000-8000-00000000a004',
  -- Whose holders must come in with two factors.
  mfa_role_ids uuid[] not null default '{}' check (cardinality(mfa_role_ids) <= 50),
  -- Whether everybody may make organisations, or administrators only.
  organisations_open boolean not null default true,
  version bigint not null default 1,
  updated_at timestamptz not null default now(),
  updated_by text not null default ''
);

-- Bounds of a tenant; one that is absent does not bound.
create table users.quota (
  tenant_id uuid not null,
  name text not null check (name in ('users', 'storage_bytes', 'requests_per_day')),
  amount bigint not null check (amount >= 0),
  updated_at timestamptz not null,
  updated_by text not null,
  primary key (tenant_id, name)
);

create table users.account (
  tenant_id uuid not null,
  id uuid not null,
  -- invited: made by somebody else, and the address is not proven yet. Of an erased account
  -- nothing is left but its id.
  status text not null
    check (status in ('invited', 'active', 'suspended', 'deactivated', 'erased')),
  status_reason text check (length(status_reason) <= 500),
  -- Lower case.
  email text check (length(email) between 3 and 254),
  email_verified boolean not null default false,
  -- What a directory calls the person (RFC 7643 §4.1.1), and the same in lower case.
  user_name text check (length(user_name) between 1 and 254),
  user_key text,
  external_id text check (length(external_id) between 1 and 254),
  display_name text check (length(display_name) between 1 and 120),
  locale text check (length(locale) between 2 and 35),
  -- Further attributes of RFC 7643 that a directory keeps here.
  attributes jsonb not null default '{}' check (octet_length(attributes::text) <= 32768),
  last_login_at timestamptz,
  -- What the platform was told last.
  projected text[],
  projected_status text,
  version bigint not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (tenant_id, id),
  constraint account_email unique (tenant_id, email),
  constraint account_user_key unique (tenant_id, user_key),
  constraint account_external_id unique (tenant_id, external_id),
  check ((status = 'erased') = (email is null and user_name is null)),
  check (status <> 'erased'
    or (display_name is null and locale is null and external_id is null and attributes = '{}'))
);
create index account_status on users.account (tenant_id, status, id);

create table users.role (
  tenant_id uuid not null,
  id uuid not null,
  -- Of one organisation; null for the tenant's own, and for those that all organisations share.
  organisation_id uuid,
  -- Where it can be given.
  scope text not null check (scope in ('tenant', 'organisation')),
  name text not null check (name ~ '^[a-z][a-z0-9-]{0,62}$'),
  description text not null default '' check (length(description) <= 500),
  permissions text[] not null check (cardinality(permissions) <= 200),
  version bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  updated_by text not null default '',
  primary key (tenant_id, id),
  check (organisation_id is null or scope = 'organisation'),
  -- Who acts for an organisation is still somebody of the tenant: what stands here must never
  -- open the tenant itself.
  constraint role_organisation_permissions
    check (scope = 'tenant' or not permissions && '{*,users:*}')
);
create unique index role_name on users.role (
  tenant_id, scope, coalesce(organisation_id, '00000000-0000-0000-0000-000000000000'), name
);
insert into users.role (tenant_id, id, scope, name, description, permissions) values
  (users.everywhere(), '01890000-0000-7000-8000-00000000a001', 'tenant', 'administrator',
    'May do everything in this tenant.', '{*}'),
  (users.everywhere(), '01890000-0000-7000-8000-00000000a002', 'tenant', 'operator',
    'Keeps the services running; sees who there is, and changes nothing about them.',
    '{core-os:*,email:view,kms:view,scheduler:*,users:view}'),
  (users.everywhere(), '01890000-0000-7000-8000-00000000a003', 'tenant', 'creator',
    'Makes and publishes work.',
    '{core-os:view,scheduler:enqueue,scheduler:manage,scheduler:view}'),
  (users.everywhere(), '01890000-0000-7000-8000-00000000a004', 'tenant', 'member',
    'Has an account, and what belongs to it.', '{}'),
  (users.everywhere(), '01890000-0000-7000-8000-00000000a011', 'organisation', 'owner',
    'Decides who belongs to the organisation and what they may do.', '{users:organisation}'),
  (users.everywhere(), '01890000-0000-7000-8000-00000000a012', 'organisation', 'member',
    'Belongs to the organisation.', '{}');

create table users.organisation (
  tenant_id uuid not null,
  id uuid not null,
  slug text not null check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  name text not null check (length(name) between 1 and 120),
  status text not null default 'active' check (status in ('active', 'archived')),
  version bigint not null default 1,
  created_at timestamptz not null,
  created_by text not null,
  updated_at timestamptz not null,
  primary key (tenant_id, id),
  constraint organisation_slug unique (tenant_id, slug)
);

create table users.membership (
  tenant_id uuid not null,
  organisation_id uuid not null,
  user_id uuid not null,
  joined_at timestamptz not null,
  -- What the platform was told last.
  projected text[],
  primary key (tenant_id, organisation_id, user_id),
  foreign key (tenant_id, organisation_id) references users.organisation,
  foreign key (tenant_id, user_id) references users.account
);
create index membership_user on users.membership (tenant_id, user_id);

-- A role that somebody has: in the tenant, or in one organisation.
create table users.binding (
  tenant_id uuid not null,
  id uuid not null,
  user_id uuid not null,
  role_id uuid not null,
  organisation_id uuid,
  expires_at timestamptz,
  created_at timestamptz not null,
  created_by text not null,
  primary key (tenant_id, id),
  foreign key (tenant_id, user_id) references users.account,
  constraint binding_membership
    foreign key (tenant_id, organisation_id, user_id) references users.membership
    on delete cascade
);
create unique index binding_once on users.binding (
  tenant_id, user_id, role_id, coalesce(organisation_id, '00000000-0000-0000-0000-000000000000')
);
create index binding_role on users.binding (tenant_id, role_id, user_id);
create index binding_expires_at on users.binding (expires_at) where expires_at is not null;

-- Groups of a directory (RFC 7643 §4.2). Roles of the tenant can hang on them.
create table users.directory_group (
  tenant_id uuid not null,
  id uuid not null,
  display_name text not null check (length(display_name) between 1 and 254),
  display_key text not null,
  external_id text check (length(external_id) between 1 and 254),
  version bigint not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (tenant_id, id),
  constraint directory_group_display_key unique (tenant_id, display_key),
  constraint directory_group_external_id unique (tenant_id, external_id)
);

create table users.group_member (
  tenant_id uuid not null,
  group_id uuid not null,
  user_id uuid not null,
  primary key (tenant_id, group_id, user_id),
  foreign key (tenant_id, group_id) references users.directory_group on delete cascade,
  foreign key (tenant_id, user_id) references users.account
);
create index group_member_user on users.group_member (tenant_id, user_id);

create table users.group_role (
  tenant_id uuid not null,
  group_id uuid not null,
  role_id uuid not null,
  primary key (tenant_id, group_id, role_id),
  foreign key (tenant_id, group_id) references users.directory_group on delete cascade
);
create index group_role_role on users.group_role (tenant_id, role_id);

-- Locks the tenant; see users.policy.
create function users.hold(tenant uuid) returns users.policy
language plpgsql as $$
declare
  held users.policy;
begin
  insert into users.policy (tenant_id) values (tenant) on conflict do nothing;
  select * into held from users.policy p where p.tenant_id = tenant for update;
  return held;
end
$$;

-- Names a refusal of the service.
create function users.refuse(reason text) returns void
language plpgsql as $$
begin
  raise exception 'refused: %', reason using errcode = '23514', constraint = reason;
end
$$;

-- The definition: what somebody may do in the tenant (`organisation` null) or for an organisation.
-- All roles that are bound there and not over, and in the tenant those of the groups besides.
create function users.permissions_of(
  tenant uuid, account uuid, organisation uuid, at timestamptz
) returns text[]
language sql stable as $$
  with held as (
    select b.role_id from users.binding b
    where b.tenant_id = tenant and b.user_id = account
      and b.organisation_id is not distinct from organisation
      and (b.expires_at is null or b.expires_at > at)
    union
    select g.role_id from users.group_member m
    join users.group_role g on g.tenant_id = m.tenant_id and g.group_id = m.group_id
    where m.tenant_id = tenant and m.user_id = account and organisation is null
  ), permission as (
    select distinct unnest(r.permissions) word from held
    join users.role r on r.id = held.role_id and r.tenant_id in (tenant, users.everywhere())
  )
  select case when exists (select from permission where word = '*') then '{*}'::text[]
    else coalesce((select array_agg(word order by word collate "C") from permission), '{}') end
$$;

create function users.platform_status(status text) returns text
language sql immutable return case status
  when 'active' then 'active' when 'erased' then 'erased' else 'suspended' end;

-- Tells the platform what one account may do, as far as that has changed.
create function users.project(tenant uuid, account uuid, at timestamptz) returns void
language plpgsql as $$
declare
  a users.account;
  m users.membership;
  may text[] := '{}';
begin
  select * into a from users.account o
    where o.tenant_id = tenant and o.id = account for no key update;
  if not found then
    return;
  end if;
  if a.status <> 'erased' then
    may := users.permissions_of(tenant, account, null, at);
  end if;
  -- What the platform takes at most for one subject.
  if cardinality(may) > 1000 then
    perform users.refuse('permissions_max');
  end if;
  if a.projected is distinct from may
      or a.projected_status is distinct from users.platform_status(a.status) then
    perform platform.identity_subject_put(
      tenant, account::text, users.platform_status(a.status), may);
    -- A version more: who has looked at this account to decide something looks again.
    update users.account o
    set projected = may, projected_status = users.platform_status(a.status),
        version = o.version + 1
    where o.tenant_id = tenant and o.id = account;
  end if;
  for m in
    select * from users.membership o where o.tenant_id = tenant and o.user_id = account
  loop
    may := users.permissions_of(tenant, account, m.organisation_id, at);
    if cardinality(may) > 1000 then
      perform users.refuse('permissions_max');
    end if;
    if m.projected is distinct from may then
      perform platform.identity_organisation_put(
        tenant, account::text, m.organisation_id::text, may);
      update users.membership o set projected = may
      where o.tenant_id = tenant and o.organisation_id = m.organisation_id
        and o.user_id = account;
    end if;
  end loop;
end
$$;

-- Holders of a role whose projection is not what the definition says, at most so many.
create function users.stale_holders(
  tenant uuid, role uuid, at timestamptz, rows_max int
) returns setof uuid
language sql stable as $$
  select a.id from users.account a
  where a.tenant_id = tenant and a.status <> 'erased'
    and a.id in (
      select b.user_id from users.binding b where b.tenant_id = tenant and b.role_id = role
      union
      select m.user_id from users.group_role g
      join users.group_member m on m.tenant_id = g.tenant_id and m.group_id = g.group_id
      where g.tenant_id = tenant and g.role_id = role
    )
    and (
      a.projected is distinct from users.permissions_of(tenant, a.id, null, at)
      or exists (
        select from users.membership m
        where m.tenant_id = tenant and m.user_id = a.id
          and m.projected is distinct from
            users.permissions_of(tenant, a.id, m.organisation_id, at)
      )
    )
  order by a.id limit rows_max
$$;

-- Projects holders of an edited role, at most so many; the rest is left to the next call.
create function users.project_holders(
  tenant uuid, role uuid, at timestamptz, rows_max int
) returns bigint
language plpgsql as $$
declare
  one uuid;
  done bigint := 0;
begin
  perform users.hold(tenant);
  for one in select users.stale_holders(tenant, role, at, rows_max) loop
    perform users.project(tenant, one, at);
    done := done + 1;
  end loop;
  return done;
end
$$;

-- Whether an active account may do everything in the tenant, and for good.
create function users.has_administrator(tenant uuid) returns boolean
language sql stable as $$
  select exists (
    select from users.account a
    where a.tenant_id = tenant and a.status = 'active' and exists (
      select from users.role r
      where r.tenant_id in (tenant, users.everywhere()) and r.permissions @> '{*}'
        and (
          exists (
            select from users.binding b
            where b.tenant_id = tenant and b.user_id = a.id and b.role_id = r.id
              and b.organisation_id is null and b.expires_at is null
          ) or exists (
            select from users.group_role g
            join users.group_member m on m.tenant_id = g.tenant_id and m.group_id = g.group_id
            where g.tenant_id = tenant and g.role_id = r.id and m.user_id = a.id
          )
        )
    )
  )
$$;

-- Whether an active account may decide about the organisation, and for good.
create function users.has_owner(tenant uuid, organisation uuid) returns boolean
language sql stable as $$
  select exists (
    select from users.binding b
    join users.account a on a.tenant_id = b.tenant_id and a.id = b.user_id
    join users.role r on r.id = b.role_id and r.tenant_id in (tenant, users.everywhere())
    where b.tenant_id = tenant and b.organisation_id = organisation and b.expires_at is null
      and a.status = 'active' and r.permissions @> '{users:organisation}'
  )
$$;

-- Makes an account with its first role. Violates `users_quota` when the tenant is full.
create function users.add_account(
  tenant uuid, account uuid, status text, email text, email_verified boolean, user_name text,
  user_key text, external_id text, display_name text, locale text, attributes jsonb, at timestamptz
) returns void
language plpgsql as $$
begin
  perform users.hold(tenant);
  if exists (
    select from users.quota q
    where q.tenant_id = tenant and q.name = 'users' and q.amount <= (
      select count(*) from users.account a where a.tenant_id = tenant and a.status <> 'erased'
    )
  ) then
    perform users.refuse('users_quota');
  end if;
  insert into users.account (
    tenant_id, id, status, email, email_verified, user_name, user_key, external_id, display_name,
    locale, attributes, created_at, updated_at
  ) values (
    tenant, account, add_account.status, add_account.email, add_account.email_verified,
    add_account.user_name, add_account.user_key, add_account.external_id,
    add_account.display_name, add_account.locale, add_account.attributes, at, at
  );
  perform users.project(tenant, account, at);
end
$$;

-- Gives a role. `role_version` is the one whose permissions the giver was found to hold; null is
-- any. Giving again changes the end. Violates `role_changed`, `role_scope`, `bindings_max` and
-- `no_such_account`, and `last_administrator` when an end is set to the last one's role.
create function users.grant_role(
  tenant uuid, binding uuid, account uuid, role uuid, role_version bigint, organisation uuid,
  expires_at timestamptz, at timestamptz, giver text
) returns void
language plpgsql as $$
declare
  r users.role;
  administered boolean;
begin
  perform users.hold(tenant);
  administered := users.has_administrator(tenant);
  select * into r from users.role o
    where o.id = role and o.tenant_id in (tenant, users.everywhere());
  if not found or r.version <> coalesce(role_version, r.version) then
    perform users.refuse('role_changed');
  end if;
  if (r.scope = 'organisation') <> (organisation is not null)
      or (r.organisation_id is not null and r.organisation_id is distinct from organisation) then
    perform users.refuse('role_scope');
  end if;
  if not exists (
    select from users.account a
    where a.tenant_id = tenant and a.id = account and a.status <> 'erased'
  ) then
    perform users.refuse('no_such_account');
  end if;
  -- Each is read at every change of the account.
  if (select count(*) from users.binding b where b.tenant_id = tenant and b.user_id = account)
      >= 200 then
    perform users.refuse('bindings_max');
  end if;
  insert into users.binding as b (
    tenant_id, id, user_id, role_id, organisation_id, expires_at, created_at, created_by
  ) values (
    tenant, binding, account, role, organisation, grant_role.expires_at, at, giver
  )
  on conflict (tenant_id, user_id, role_id,
      coalesce(organisation_id, '00000000-0000-0000-0000-000000000000'))
    do update set expires_at = excluded.expires_at, created_by = excluded.created_by;
  perform users.project(tenant, account, at);
  perform users.keep_administered(tenant, administered);
end
$$;

-- Undoes a change that would leave the tenant without an administrator.
create function users.keep_administered(tenant uuid, administered boolean) returns void
language plpgsql as $$
begin
  if administered and not users.has_administrator(tenant) then
    perform users.refuse('last_administrator');
  end if;
end
$$;

-- Undoes a change that would leave an organisation with members and without an owner.
create function users.keep_owned(tenant uuid, organisation uuid, owned boolean) returns void
language plpgsql as $$
begin
  if owned and not users.has_owner(tenant, organisation) then
    perform users.refuse('last_owner');
  end if;
end
$$;

-- Takes a role away. Violates `no_such_binding`, `last_administrator`, `last_owner`.
create function users.revoke_role(tenant uuid, binding uuid, at timestamptz) returns void
language plpgsql as $$
declare
  b users.binding;
  administered boolean;
  owned boolean;
begin
  perform users.hold(tenant);
  administered := users.has_administrator(tenant);
  select * into b from users.binding o where o.tenant_id = tenant and o.id = binding;
  if not found then
    perform users.refuse('no_such_binding');
  end if;
  owned := b.organisation_id is not null and users.has_owner(tenant, b.organisation_id);
  delete from users.binding o where o.tenant_id = tenant and o.id = binding;
  perform users.project(tenant, b.user_id, at);
  perform users.keep_administered(tenant, administered);
  perform users.keep_owned(tenant, b.organisation_id, owned);
end
$$;

-- Changes the state of an account; `seen` is the version that was decided about, null any. An
-- organisation may lose its owner by it: who has to be kept out, is. Violates `account_changed`,
-- `last_administrator`.
create function users.set_status(
  tenant uuid, account uuid, seen bigint, status text, reason text, at timestamptz
) returns void
language plpgsql as $$
declare
  administered boolean;
begin
  perform users.hold(tenant);
  administered := users.has_administrator(tenant);
  update users.account a
  set status = set_status.status, status_reason = reason, updated_at = at,
      version = a.version + 1
  where a.tenant_id = tenant and a.id = account and a.version = coalesce(seen, a.version)
    and a.status <> 'erased';
  if not found then
    perform users.refuse('account_changed');
  end if;
  perform users.project(tenant, account, at);
  perform users.keep_administered(tenant, administered);
end
$$;

-- Changes what is known about a person; null leaves a column, an empty text clears it. Another
-- address is unproven unless said otherwise; one that is proven makes an invited account active.
-- Violates `account_changed`.
create function users.edit_account(
  tenant uuid, account uuid, seen bigint, email text, email_verified boolean, display_name text,
  locale text, at timestamptz
) returns void
language plpgsql as $$
begin
  update users.account a
  set email = coalesce(edit_account.email, a.email),
      email_verified = coalesce(edit_account.email_verified,
        a.email_verified and coalesce(edit_account.email, a.email) = a.email),
      user_name = case when a.user_key = a.email then coalesce(edit_account.email, a.user_name)
        else a.user_name end,
      user_key = case when a.user_key = a.email then coalesce(edit_account.email, a.user_key)
        else a.user_key end,
      display_name = case when edit_account.display_name is null then a.display_name
        else nullif(edit_account.display_name, '') end,
      locale = case when edit_account.locale is null then a.locale
        else nullif(edit_account.locale, '') end,
      status = case when a.status = 'invited' and edit_account.email_verified then 'active'
        else a.status end,
      updated_at = at, version = a.version + 1
  where a.tenant_id = tenant and a.id = account and a.version = coalesce(seen, a.version)
    and a.status <> 'erased';
  if not found then
    perform users.refuse('account_changed');
  end if;
  perform users.project(tenant, account, at);
end
$$;
