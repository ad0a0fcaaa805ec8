-- People at their devices, from sign-in to sign-out. What a host needs of a session to let its
-- cookie in is in platform.credential, under the same id and written in the same transaction; here
-- stands what its owner is shown, and why it ended.
--
-- A session is four hundred bytes, written at its beginning, at a step-up and at its end, and read
-- when somebody looks at the list: PostgreSQL is enough, and nothing is lost with a cache.

create table session_mgr.session (
  tenant_id uuid not null,
  -- Also the credential's id and the `sid` of tokens.
  id uuid not null,
  subject text not null check (length(subject) between 1 and 255),
  -- SHA-256 of the secret: the key of its CSRF token, which nobody stores.
  digest bytea not null unique check (octet_length(digest) = 32),
  -- How somebody came in: methods (RFC 8176), strength, and when that was proven.
  amr text[] not null,
  acr text not null,
  auth_time timestamptz not null,
  -- From where, as the front door saw it at sign-in.
  address text check (length(address) <= 45),
  user_agent text check (length(user_agent) <= 512),
  -- Whether it outlives the browser.
  persistent boolean not null,
  idle_seconds int not null check (idle_seconds > 0),
  created_at timestamptz not null,
  expires_at timestamptz not null,
  -- As it was when last looked at; hosts know it to the minute.
  seen_at timestamptz not null,
  -- Before this instant it cannot have run out.
  check_at timestamptz not null,
  ended_at timestamptz,
  ended_reason text,
  primary key (tenant_id, id),
  check ((ended_at is null) = (ended_reason is null))
);
create index session_live on session_mgr.session (tenant_id, subject, id) where ended_at is null;
create index session_check_at on session_mgr.session (check_at) where ended_at is null;
create index session_ended_at on session_mgr.session (ended_at) where ended_at is not null;

-- Whoever changes which sessions a subject has takes this row first: two sign-ins at once must not
-- each find the last free place.
create table session_mgr.owner (
  tenant_id uuid not null,
  subject text not null,
  changed_at timestamptz not null,
  primary key (tenant_id, subject)
);

-- What a tenant has decided; without a row, the defaults of the code.
create table session_mgr.policy (
  tenant_id uuid primary key,
  policy jsonb not null,
  version bigint not null,
  updated_at timestamptz not null,
  updated_by text not null
);
