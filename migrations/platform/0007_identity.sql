-- What the data plane of every host must know of identity: tenants, what subjects may do, opaque
-- credentials, public signing keys, and what was revoked. Services own these facts and write them
-- in the transaction of their own change; hosts only read, and follow the notices.
--
-- No secret stands here: credentials are known by the SHA-256 digest of 32 random bytes, which
-- needs no slow hash, and keys by their public half.

create table platform.tenant (
  id uuid primary key,
  slug text not null unique check (slug ~ '^[a-z][a-z0-9-]{0,62}$'),
  name text not null check (length(name) between 1 and 120),
  -- Host names under which it is known, lower case and without a port.
  hosts text[] not null default '{}',
  status text not null default 'active' check (status in ('active', 'suspended')),
  changed_at timestamptz not null default now()
);
insert into platform.tenant (id, slug, name)
  values ('01890000-0000-7000-8000-000000000001', 'nexus', 'Nexus COS');

-- Who may do what. Tokens do not say it, so that a role taken away is gone at once.
create table platform.subject (
  tenant_id uuid not null,
  subject text not null check (length(subject) between 1 and 255),
  status text not null check (status in ('active', 'suspended', 'erased')),
  permissions text[] not null default '{}',
  changed_at timestamptz not null default now(),
  primary key (tenant_id, subject)
);

-- What a subject may do besides when it acts for an organisation.
create table platform.subject_organisation (
  tenant_id uuid not null,
  subject text not null,
  organisation text not null check (length(organisation) between 1 and 255),
  permissions text[] not null,
  primary key (tenant_id, subject, organisation)
);

create table platform.credential (
  id uuid primary key,
  tenant_id uuid not null,
  kind text not null check (kind in ('session', 'api_key')),
  digest bytea not null unique check (length(digest) = 32),
  subject text not null check (length(subject) between 1 and 255),
  organisation text,
  -- What it may do of all that its subject may; null is everything.
  permission_limit text[],
  -- Addresses or networks (CIDR) that it may come from; null is any.
  networks text[],
  auth_time timestamptz,
  acr text,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  -- Unused for so long, it is worth nothing.
  idle_seconds int check (idle_seconds > 0),
  -- Hosts write it at most once a minute.
  seen_at timestamptz not null default now(),
  revoked_at timestamptz
);
create index credential_subject on platform.credential (tenant_id, subject, kind);
create index credential_end on platform.credential (least(expires_at, revoked_at));

create table platform.signing_key (
  kid text primary key check (length(kid) between 1 and 255),
  algorithm text not null check (algorithm in ('ES256', 'EdDSA')),
  -- The public half (RFC 7517).
  jwk jsonb not null check (jwk ->> 'd' is null),
  published_at timestamptz not null default now(),
  -- Tokens it signed are believed until then; null while it is in use.
  expires_at timestamptz
);

-- Tokens that are worth nothing although their signature holds.
create table platform.revocation (
  tenant_id uuid not null,
  -- token: one `jti`. session: all of a `sid`. subject: all of a `sub` from before an instant.
  kind text not null check (kind in ('token', 'session', 'subject')),
  key text not null check (length(key) between 1 and 255),
  issued_before timestamptz,
  -- When the last token that it concerns has expired by itself.
  expires_at timestamptz not null,
  primary key (tenant_id, kind, key),
  check ((kind = 'subject') = (issued_before is not null))
);
create index revocation_expires_at on platform.revocation (expires_at);

-- What changed, for the hosts. A reader that has seen all below the oldest running transaction goes
-- on from there: whatever commits later has a higher number than that, so nothing is missed.
create table platform.identity_notice (
  xact xid8 not null default pg_current_xact_id(),
  kind text not null
    check (kind in ('tenant', 'subject', 'credential', 'key', 'revocation')),
  tenant_id uuid,
  key text not null,
  at timestamptz not null default clock_timestamp()
);
create index identity_notice_xact on platform.identity_notice (xact);
create index identity_notice_at on platform.identity_notice (at);

-- The one-time link with which the first administrator of an installation comes in.
create table platform.setup (
  digest bytea primary key check (length(digest) = 32),
  tenant_id uuid not null,
  expires_at timestamptz not null,
  used_at timestamptz
);

-- Refuses all callers but those named.
create function platform.identity_admit(services text[]) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if platform.caller() <> all (services) then
    raise exception '% does not decide this', platform.caller() using errcode = '42501';
  end if;
end
$$;

create function platform.identity_note(kind text, tenant_id uuid, key text) returns void
language sql set search_path = pg_catalog, pg_temp as $$
  insert into platform.identity_notice (kind, tenant_id, key) values (kind, tenant_id, key)
$$;

-- Permissions are words of a service or patterns of them, as tokens carry them.
create function platform.identity_permissions_check(permissions text[]) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  if cardinality(permissions) > 1000 then
    raise exception 'at most 1000 permissions' using errcode = '22023';
  end if;
  if exists (
    select from unnest(permissions) p
    where p is null or p !~ '^(\*|[a-z][a-z0-9-]{0,62}:(\*|[a-z0-9_.:-]{1,62}(:\*)?))$'
  ) then
    raise exception 'a permission is written service:verb, service:* or *'
      using errcode = '22023';
  end if;
end
$$;

create function platform.identity_tenant_put(
  id uuid, slug text, name text, hosts text[], status text
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform platform.identity_admit('{users}');
  insert into platform.tenant as t (id, slug, name, hosts, status)
  values (
    identity_tenant_put.id, identity_tenant_put.slug, identity_tenant_put.name,
    identity_tenant_put.hosts, identity_tenant_put.status
  )
  on conflict on constraint tenant_pkey do update
    set slug = excluded.slug, name = excluded.name, hosts = excluded.hosts,
        status = excluded.status, changed_at = now();
  perform platform.identity_note('tenant', identity_tenant_put.id, identity_tenant_put.slug);
end
$$;

-- The whole of what a subject may do, replacing what was known.
create function platform.identity_subject_put(
  tenant_id uuid, subject text, status text, permissions text[]
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform platform.identity_admit('{users,auth}');
  perform platform.identity_permissions_check(identity_subject_put.permissions);
  insert into platform.subject as s (tenant_id, subject, status, permissions)
  values (
    identity_subject_put.tenant_id, identity_subject_put.subject,
    identity_subject_put.status, identity_subject_put.permissions
  )
  on conflict on constraint subject_pkey do update
    set status = excluded.status, permissions = excluded.permissions, changed_at = now();
  if identity_subject_put.status = 'erased' then
    delete from platform.subject_organisation o
    where o.tenant_id = identity_subject_put.tenant_id
      and o.subject = identity_subject_put.subject;
  end if;
  perform platform.identity_note(
    'subject', identity_subject_put.tenant_id, identity_subject_put.subject);
end
$$;

-- What a subject may do besides for an organisation; null takes its membership away.
create function platform.identity_organisation_put(
  tenant_id uuid, subject text, organisation text, permissions text[]
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform platform.identity_admit('{users}');
  if identity_organisation_put.permissions is null then
    delete from platform.subject_organisation o
    where o.tenant_id = identity_organisation_put.tenant_id
      and o.subject = identity_organisation_put.subject
      and o.organisation = identity_organisation_put.organisation;
  else
    perform platform.identity_permissions_check(identity_organisation_put.permissions);
    insert into platform.subject_organisation as o (tenant_id, subject, organisation, permissions)
    values (
      identity_organisation_put.tenant_id, identity_organisation_put.subject,
      identity_organisation_put.organisation, identity_organisation_put.permissions
    )
    on conflict on constraint subject_organisation_pkey do update
      set permissions = excluded.permissions;
  end if;
  perform platform.identity_note(
    'subject', identity_organisation_put.tenant_id, identity_organisation_put.subject);
end
$$;

-- Whether an active subject may act for an organisation.
create function platform.identity_member(tenant_id uuid, subject text, organisation text)
returns boolean
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform platform.identity_admit('{users,auth,token-mgr,session-mgr}');
  return exists (
    select from platform.subject_organisation o
    join platform.subject s using (tenant_id, subject)
    where o.tenant_id = identity_member.tenant_id and o.subject = identity_member.subject
      and o.organisation = identity_member.organisation and s.status = 'active'
  );
end
$$;

-- What an active subject may do, for an organisation or for itself; no row for anybody else.
create function platform.identity_permissions(tenant_id uuid, subject text, organisation text)
returns table (permissions text[])
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform platform.identity_admit('{users,auth,token-mgr,session-mgr}');
  return query
    select s.permissions || coalesce(o.permissions, '{}')
    from platform.subject s
    left join platform.subject_organisation o
      on o.tenant_id = s.tenant_id and o.subject = s.subject
      and o.organisation = identity_permissions.organisation
    where s.tenant_id = identity_permissions.tenant_id
      and s.subject = identity_permissions.subject and s.status = 'active'
      and (identity_permissions.organisation is null or o.subject is not null);
end
$$;

-- The service that makes credentials of a kind, and nobody else, may change them.
create function platform.identity_admit_kind(kind text) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  perform platform.identity_admit(case kind
    when 'session' then array['session-mgr'] when 'api_key' then array['token-mgr']
    else '{}'::text[]
  end);
end
$$;

-- Makes a credential, or gives an existing one another digest, limit or end.
create function platform.identity_credential_put(
  tenant_id uuid, id uuid, kind text, digest bytea, subject text, organisation text,
  permission_limit text[], networks text[], auth_time timestamptz, acr text,
  expires_at timestamptz, idle_seconds int
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform platform.identity_admit_kind(identity_credential_put.kind);
  perform platform.identity_permissions_check(
    coalesce(identity_credential_put.permission_limit, '{}'));
  -- A network that is none must fail here, not at a request.
  perform n::inet from unnest(identity_credential_put.networks) n;
  insert into platform.credential as c (
    id, tenant_id, kind, digest, subject, organisation, permission_limit, networks, auth_time,
    acr, expires_at, idle_seconds
  ) values (
    identity_credential_put.id, identity_credential_put.tenant_id, identity_credential_put.kind,
    identity_credential_put.digest, identity_credential_put.subject,
    identity_credential_put.organisation, identity_credential_put.permission_limit,
    identity_credential_put.networks, identity_credential_put.auth_time,
    identity_credential_put.acr, identity_credential_put.expires_at,
    identity_credential_put.idle_seconds
  )
  on conflict on constraint credential_pkey do update
    set digest = excluded.digest, organisation = excluded.organisation,
        permission_limit = excluded.permission_limit, networks = excluded.networks,
        auth_time = excluded.auth_time, acr = excluded.acr, expires_at = excluded.expires_at,
        idle_seconds = excluded.idle_seconds, seen_at = now()
    where c.tenant_id = excluded.tenant_id and c.kind = excluded.kind
      and c.subject = excluded.subject and c.revoked_at is null;
  if not found then
    raise exception 'the credential is revoked or somebody else''s' using errcode = 'NX404';
  end if;
  perform platform.identity_note('credential', identity_credential_put.tenant_id,
    identity_credential_put.id::text);
end
$$;

-- Whether there was one to revoke.
create function platform.identity_credential_revoke(tenant_id uuid, id uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  known text;
begin
  select c.kind into known from platform.credential c
    where c.id = identity_credential_revoke.id
      and c.tenant_id = identity_credential_revoke.tenant_id;
  if known is null then
    return false;
  end if;
  perform platform.identity_admit_kind(known);
  update platform.credential c set revoked_at = now()
    where c.id = identity_credential_revoke.id and c.revoked_at is null;
  if not found then
    return false;
  end if;
  perform platform.identity_note('credential', identity_credential_revoke.tenant_id,
    identity_credential_revoke.id::text);
  return true;
end
$$;

-- When the caller's credentials of a subject were last used.
create function platform.identity_credentials_seen(tenant_id uuid, subject text)
returns table (id uuid, seen_at timestamptz)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  own text := case platform.caller()
    when 'session-mgr' then 'session' when 'token-mgr' then 'api_key' end;
begin
  perform platform.identity_admit('{session-mgr,token-mgr}');
  return query
    select c.id, c.seen_at from platform.credential c
    where c.tenant_id = identity_credentials_seen.tenant_id
      and c.subject = identity_credentials_seen.subject and c.kind = own;
end
$$;

create function platform.identity_key_put(
  kid text, algorithm text, jwk jsonb, expires_at timestamptz
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform platform.identity_admit('{token-mgr}');
  insert into platform.signing_key as k (kid, algorithm, jwk, expires_at)
  values (
    identity_key_put.kid, identity_key_put.algorithm, identity_key_put.jwk,
    identity_key_put.expires_at
  )
  on conflict on constraint signing_key_pkey do update set expires_at = excluded.expires_at;
  perform platform.identity_note('key', null, identity_key_put.kid);
end
$$;

-- A key that nobody shall believe from now on, whatever it signed.
create function platform.identity_key_withdraw(kid text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform platform.identity_admit('{token-mgr}');
  delete from platform.signing_key k where k.kid = identity_key_withdraw.kid;
  perform platform.identity_note('key', null, identity_key_withdraw.kid);
end
$$;

create function platform.identity_revoke(
  tenant_id uuid, kind text, key text, issued_before timestamptz, expires_at timestamptz
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform platform.identity_admit('{token-mgr,session-mgr,auth,users}');
  insert into platform.revocation as r (tenant_id, kind, key, issued_before, expires_at)
  values (
    identity_revoke.tenant_id, identity_revoke.kind, identity_revoke.key,
    identity_revoke.issued_before, identity_revoke.expires_at
  )
  on conflict on constraint revocation_pkey do update
    set issued_before = greatest(r.issued_before, excluded.issued_before),
        expires_at = greatest(r.expires_at, excluded.expires_at);
  perform platform.identity_note('revocation', identity_revoke.tenant_id,
    identity_revoke.kind || ':' || identity_revoke.key);
end
$$;

-- Uses up a set-up link; true once.
create function platform.identity_setup_redeem(tenant_id uuid, digest bytea) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform platform.identity_admit('{user-auth}');
  update platform.setup s set used_at = now()
    where s.digest = identity_setup_redeem.digest
      and s.tenant_id = identity_setup_redeem.tenant_id
      and s.used_at is null and s.expires_at > now();
  return found;
end
$$;

-- Whether a set-up link would be taken.
create function platform.identity_setup_open(tenant_id uuid, digest bytea) returns boolean
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform platform.identity_admit('{user-auth}');
  return exists (
    select from platform.setup s
    where s.digest = identity_setup_open.digest
      and s.tenant_id = identity_setup_open.tenant_id
      and s.used_at is null and s.expires_at > now()
  );
end
$$;

grant execute on function
  platform.identity_tenant_put(uuid, text, text, text[], text),
  platform.identity_subject_put(uuid, text, text, text[]),
  platform.identity_organisation_put(uuid, text, text, text[]),
  platform.identity_member(uuid, text, text),
  platform.identity_permissions(uuid, text, text),
  platform.identity_credential_put(uuid, uuid, text, bytea, text, text, text[], text[],
    timestamptz, text, timestamptz, int),
  platform.identity_credential_revoke(uuid, uuid),
  platform.identity_credentials_seen(uuid, text),
  platform.identity_key_put(text, text, jsonb, timestamptz),
  platform.identity_key_withdraw(text),
  platform.identity_revoke(uuid, text, text, timestamptz, timestamptz),
  platform.identity_setup_redeem(uuid, bytea),
  platform.identity_setup_open(uuid, bytea)
to public;

-- The host's: removes what can no longer matter; returns how many rows went.
create function platform.identity_purge(rows_max int default 10000) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  gone bigint := 0;
  counted bigint;
begin
  delete from platform.identity_notice where ctid = any (array(
    select ctid from platform.identity_notice where at < now() - interval '1 hour' limit rows_max
  ));
  get diagnostics counted = row_count;
  gone := gone + counted;
  delete from platform.revocation where ctid = any (array(
    select ctid from platform.revocation where expires_at < now() limit rows_max
  ));
  get diagnostics counted = row_count;
  gone := gone + counted;
  -- A month in which its owner may still ask when it was last used.
  delete from platform.credential where ctid = any (array(
    select ctid from platform.credential
    where least(expires_at, revoked_at) < now() - interval '30 days' limit rows_max
  ));
  get diagnostics counted = row_count;
  gone := gone + counted;
  delete from platform.signing_key where expires_at < now();
  get diagnostics counted = row_count;
  return gone + counted;
end
$$;
