-- Programs that let people sign in here, what people have allowed them, and the short-lived values
-- that travel between the two. Secrets, codes and device codes are kept as SHA-256 digests: they
-- are 32 random bytes, which need no slow hash.

create table auth.client (
  tenant_id uuid not null,
  id uuid not null,
  name text not null check (length(name) between 1 and 120),
  -- confidential: keeps a secret. public: an app or a page, which cannot.
  kind text not null check (kind in ('confidential', 'public')),
  secret_digest bytea check (length(secret_digest) = 32),
  -- The secret before this one, for as long as both are taken.
  old_secret_digest bytea check (length(old_secret_digest) = 32),
  old_secret_until timestamptz,
  redirect_uris text[] not null default '{}',
  post_logout_redirect_uris text[] not null default '{}',
  grant_types text[] not null,
  -- What it may ask people for, besides the words of OpenID Connect.
  scopes text[] not null default '{}',
  -- What it may do by itself (client credentials).
  permissions text[] not null default '{}',
  -- The installation's own: people are not asked.
  trusted boolean not null default false,
  require_pushed boolean not null default false,
  logo_uri text,
  policy_uri text,
  terms_uri text,
  logout_uri text,
  created_by text not null,
  created_at timestamptz not null,
  disabled_at timestamptz,
  version int not null default 1,
  primary key (tenant_id, id),
  check ((kind = 'confidential') = (secret_digest is not null))
);

-- A request to be let in that is not answered yet: pushed by the client (RFC 9126), or waiting for
-- a person to sign in or to agree.
create table auth.request (
  tenant_id uuid not null,
  id uuid not null,
  -- Of a pushed request: the part of its URI that nobody can guess.
  digest bytea unique check (length(digest) = 32),
  client_id uuid not null,
  parameters jsonb not null,
  -- Whom it was shown to; only that person may answer it.
  subject text,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  answered_at timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, client_id) references auth.client on delete cascade
);
create index request_expires_at on auth.request (expires_at);

create table auth.consent (
  tenant_id uuid not null,
  subject text not null,
  client_id uuid not null,
  scopes text[] not null,
  granted_at timestamptz not null,
  primary key (tenant_id, subject, client_id),
  foreign key (tenant_id, client_id) references auth.client on delete cascade
);

create table auth.code (
  tenant_id uuid not null,
  digest bytea primary key check (length(digest) = 32),
  client_id uuid not null,
  -- The family of all tokens that come of it, so that a second use can end them.
  family uuid not null,
  subject text not null,
  session text,
  organisation text,
  redirect_uri text not null,
  scopes text[] not null,
  nonce text,
  -- PKCE (RFC 7636), always S256.
  challenge text not null check (length(challenge) = 43),
  auth_time timestamptz,
  acr text,
  expires_at timestamptz not null,
  used_at timestamptz,
  foreign key (tenant_id, client_id) references auth.client on delete cascade
);
create index code_expires_at on auth.code (expires_at);

-- A device without a keyboard that waits for somebody to let it in (RFC 8628).
create table auth.device (
  tenant_id uuid not null,
  digest bytea primary key check (length(digest) = 32),
  user_code text not null,
  client_id uuid not null,
  family uuid not null,
  scopes text[] not null,
  state text not null default 'pending' check (state in ('pending', 'approved', 'denied', 'used')),
  subject text,
  session text,
  auth_time timestamptz,
  acr text,
  interval_seconds int not null default 5,
  asked_at timestamptz,
  expires_at timestamptz not null,
  unique (tenant_id, user_code),
  foreign key (tenant_id, client_id) references auth.client on delete cascade
);
create index device_expires_at on auth.device (expires_at);

-- Which clients to tell when a session ends (OpenID Connect Back-Channel Logout).
create table auth.session_client (
  tenant_id uuid not null,
  session text not null,
  client_id uuid not null,
  subject text not null,
  since timestamptz not null,
  primary key (tenant_id, session, client_id),
  foreign key (tenant_id, client_id) references auth.client on delete cascade
);
create index session_client_since on auth.session_client (since);

-- Which families of tokens a client got for whom, so that taking a consent back can end them.
create table auth.grant_family (
  tenant_id uuid not null,
  family uuid not null,
  client_id uuid not null,
  subject text not null,
  issued_at timestamptz not null,
  primary key (tenant_id, family),
  foreign key (tenant_id, client_id) references auth.client on delete cascade
);
create index grant_family_subject on auth.grant_family (tenant_id, subject, client_id);
create index grant_family_issued_at on auth.grant_family (issued_at);
