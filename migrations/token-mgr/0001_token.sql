-- What programs show: signed tokens, the refresh tokens behind them, and API keys. Every secret
-- stands here as SHA-256 of 32 random bytes; private keys are in kms and never leave it.

-- The installation's keys for signatures. Hosts know the public half from platform.signing_key,
-- written in the same commits.
create table token_mgr.signing_key (
  -- Thumbprint of the public key (RFC 7638).
  kid text primary key check (length(kid) between 1 and 255),
  -- The version of the key in kms.
  version int not null unique,
  jwk jsonb not null check (jwk ->> 'd' is null),
  published_at timestamptz not null,
  -- It signs from then on, until a newer one does.
  active_at timestamptz not null,
  -- What it signed is believed until then; null while it signs or will.
  expires_at timestamptz,
  -- Nobody believes it any more, whatever it signed.
  withdrawn_at timestamptz
);

-- All tokens that descend from one sign-in of one client.
create table token_mgr.family (
  tenant_id uuid not null,
  id uuid not null,
  subject text not null check (length(subject) between 1 and 255),
  organisation text,
  client_id text not null check (length(client_id) between 1 and 255),
  -- Whether `auth` opened it, where clients prove who they are: then only `auth` goes on with it.
  by_auth boolean not null,
  -- The session in which it began, and with which it ends.
  session text,
  -- Words of RFC 6749 §3.3; null is everything that the subject may do.
  scope text check (length(scope) <= 4096),
  auth_time timestamptz,
  acr text,
  created_at timestamptz not null,
  refreshed_at timestamptz not null,
  -- However often it is refreshed.
  expires_at timestamptz not null,
  ended_at timestamptz,
  ended_reason text,
  primary key (tenant_id, id),
  check ((ended_at is null) = (ended_reason is null))
);
create index family_subject on token_mgr.family (tenant_id, subject) where ended_at is null;
create index family_session on token_mgr.family (tenant_id, session) where ended_at is null;
create index family_end on token_mgr.family (least(expires_at, ended_at));

create table token_mgr.refresh_token (
  tenant_id uuid not null,
  digest bytea not null unique check (octet_length(digest) = 32),
  family_id uuid not null,
  created_at timestamptz not null,
  -- The successor is made of the token itself and this, so that the same one can be given again to
  -- a client that has lost the answer; gone as soon as the successor is used.
  salt bytea check (octet_length(salt) = 32),
  used_at timestamptz,
  primary key (tenant_id, family_id, digest),
  foreign key (tenant_id, family_id) references token_mgr.family (tenant_id, id) on delete cascade
);
-- A family has one token that can be used, never two.
create unique index refresh_token_live on token_mgr.refresh_token (tenant_id, family_id)
  where used_at is null;

-- Every signed token until it expires by itself. Whoever shows one whose digest is here shows one
-- that we made: nothing has to be verified again.
create table token_mgr.issued (
  tenant_id uuid not null,
  jti uuid not null,
  digest bytea not null unique check (octet_length(digest) = 32),
  family_id uuid,
  subject text not null,
  session text,
  client_id text,
  expires_at timestamptz not null,
  revoked_at timestamptz,
  primary key (tenant_id, jti)
);
create index issued_family on token_mgr.issued (tenant_id, family_id) where family_id is not null;
create index issued_subject on token_mgr.issued (tenant_id, subject);
create index issued_expires_at on token_mgr.issued (expires_at);

-- Keys with which programs act for somebody. The credential itself is the platform's, under the
-- same id.
create table token_mgr.api_key (
  tenant_id uuid not null,
  id uuid not null,
  subject text not null check (length(subject) between 1 and 255),
  organisation text,
  name text not null check (length(name) between 1 and 120),
  digest bytea not null unique check (octet_length(digest) = 32),
  -- How it begins, for its owner to tell it from others.
  beginning text not null check (length(beginning) between 1 and 60),
  -- What it may do of all that its subject may; null is everything.
  permission_limit text[],
  networks text[],
  created_at timestamptz not null,
  created_by text not null,
  expires_at timestamptz not null,
  -- The key that took over from this one.
  replaced_by uuid,
  revoked_at timestamptz,
  primary key (tenant_id, id)
);
create index api_key_subject on token_mgr.api_key (tenant_id, subject, id);
create index api_key_organisation on token_mgr.api_key (tenant_id, organisation, id)
  where organisation is not null;
create index api_key_end on token_mgr.api_key (least(expires_at, revoked_at));

-- Whoever changes which keys a subject has takes this row first.
create table token_mgr.owner (
  tenant_id uuid not null,
  subject text not null,
  changed_at timestamptz not null,
  primary key (tenant_id, subject)
);
