-- How people prove who they are. Who they are is `users`', whether they are in `session-mgr`'s.
-- No secret stands here but as a slow hash (passwords), as the digest of something random (links,
-- flows, recovery codes) or as ciphertext of kms (TOTP).

create table user_auth.password (
  tenant_id uuid not null,
  user_id uuid not null,
  phc text not null check (phc like '$argon2id$%'),
  changed_at timestamptz not null,
  primary key (tenant_id, user_id)
);

-- Somebody who would like an account. It comes into being with the proof of the address, so that
-- nobody can squat on another's.
create table user_auth.registration (
  tenant_id uuid not null,
  id uuid not null,
  email text not null check (length(email) between 3 and 254),
  phc text not null check (phc like '$argon2id$%'),
  display_name text check (length(display_name) between 1 and 120),
  locale text check (length(locale) between 2 and 35),
  -- Of the set-up link, for the first administrator.
  setup_digest bytea check (octet_length(setup_digest) = 32),
  created_at timestamptz not null,
  expires_at timestamptz not null,
  primary key (tenant_id, id),
  constraint registration_setup unique (tenant_id, setup_digest)
);
create index registration_email on user_auth.registration (tenant_id, email, created_at desc);
create index registration_expires_at on user_auth.registration (expires_at);

-- A mail that is owed. Whether there is anybody to get it is found out by whoever sends it.
create table user_auth.mail_order (
  tenant_id uuid not null,
  id uuid not null,
  purpose text not null,
  email text,
  user_id uuid,
  registration_id uuid,
  -- What the mail says besides: address and device of a sign-in.
  details jsonb not null,
  created_at timestamptz not null,
  primary key (tenant_id, id),
  check (email is not null or user_id is not null)
);
create index mail_order_created_at on user_auth.mail_order (created_at);

-- What is mailed to be brought back, once.
create table user_auth.link (
  tenant_id uuid not null,
  digest bytea not null check (octet_length(digest) = 32),
  purpose text not null check (purpose in ('verify', 'recover', 'magic')),
  email text not null,
  user_id uuid,
  registration_id uuid,
  persistent boolean not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  primary key (tenant_id, digest),
  check ((purpose = 'verify') = (registration_id is not null)),
  check ((purpose = 'verify') = (user_id is null))
);
create index link_user on user_auth.link (tenant_id, user_id);
create index link_expires_at on user_auth.link (expires_at);

-- Somebody who has proven something and not yet enough.
create table user_auth.flow (
  tenant_id uuid not null,
  id uuid not null,
  -- Of the secret that only the browser has in which it began.
  digest bytea not null check (octet_length(digest) = 32),
  user_id uuid not null,
  amr text[] not null,
  persistent boolean not null,
  tries int not null default 0,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  primary key (tenant_id, id)
);
create index flow_user on user_auth.flow (tenant_id, user_id);
create index flow_expires_at on user_auth.flow (expires_at);

create table user_auth.totp (
  tenant_id uuid not null,
  user_id uuid not null,
  -- Ciphertext of kms, bound to the user.
  secret text not null,
  -- Until then it is only an offer.
  confirmed_at timestamptz,
  -- The last time step whose code was taken; none before it will be again.
  step_last bigint not null default 0,
  created_at timestamptz not null,
  primary key (tenant_id, user_id)
);

create table user_auth.recovery_code (
  tenant_id uuid not null,
  user_id uuid not null,
  digest bytea not null check (octet_length(digest) = 32),
  used_at timestamptz,
  primary key (tenant_id, user_id, digest)
);

create table user_auth.passkey (
  tenant_id uuid not null,
  id uuid not null,
  user_id uuid not null,
  credential_id bytea not null check (octet_length(credential_id) between 1 and 1023),
  -- As the authenticator gave it: a COSE key.
  public_key bytea not null check (octet_length(public_key) <= 2048),
  sign_count bigint not null check (sign_count >= 0),
  name text not null check (length(name) between 1 and 120),
  aaguid uuid not null,
  transports text[] not null,
  backup_eligible boolean not null,
  backed_up boolean not null,
  created_at timestamptz not null,
  used_at timestamptz,
  -- When its counter went back: there may be a copy of it.
  suspect_at timestamptz,
  primary key (tenant_id, id),
  constraint passkey_credential unique (tenant_id, credential_id)
);
create index passkey_user on user_auth.passkey (tenant_id, user_id);

-- A question to an authenticator, to be answered once.
create table user_auth.ceremony (
  tenant_id uuid not null,
  id uuid not null,
  kind text not null check (kind in ('register', 'login', 'second_factor', 'step_up')),
  user_id uuid,
  challenge bytea not null check (octet_length(challenge) = 32),
  expires_at timestamptz not null,
  primary key (tenant_id, id),
  check ((kind = 'login') = (user_id is null))
);
create index ceremony_expires_at on user_auth.ceremony (expires_at);

-- What was tried, for the owner of the account and for whoever looks into an attack.
create table user_auth.attempt (
  tenant_id uuid not null,
  id uuid not null,
  user_id uuid,
  outcome text not null,
  method text not null,
  address text,
  device text,
  at timestamptz not null,
  primary key (tenant_id, id)
);
create index attempt_user on user_auth.attempt (tenant_id, user_id, id desc);
create index attempt_at on user_auth.attempt (at);

-- Where an account has been used before: there its owner is not kept waiting for what strangers do,
-- and is not told of a new sign-in.
create table user_auth.device (
  tenant_id uuid not null,
  user_id uuid not null,
  network text not null,
  agent_digest bytea not null check (octet_length(agent_digest) = 32),
  first_at timestamptz not null,
  last_at timestamptz not null,
  primary key (tenant_id, user_id, network, agent_digest)
);
create index device_last_at on user_auth.device (last_at);

-- How often something was tried and until when it has to wait. Keys are digests.
create table user_auth.throttle (
  tenant_id uuid not null,
  key text not null,
  tries int not null,
  last_at timestamptz not null,
  until timestamptz not null,
  primary key (tenant_id, key)
);
create index throttle_last_at on user_auth.throttle (last_at);

-- Lets a try through and counts it under all keys at once, or lets nothing through and counts
-- nothing. Counted when it begins, so that a hundred at once are not one. `free` tries cost no
-- waiting; each after that doubles it, up to `longest` seconds. An hour of quiet forgets.
create function user_auth.throttle_enter(
  tenant uuid, keys text[], free int[], longest int[], at timestamptz
) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  -- In one order, so that two tries never wait for one another in a circle.
  insert into user_auth.throttle (tenant_id, key, tries, last_at, until)
    select tenant, k, 0, throttle_enter.at, '-infinity' from unnest(keys) k order by k
    on conflict do nothing;
  perform from user_auth.throttle t
    where t.tenant_id = tenant and t.key = any (keys) order by t.key for update;
  if exists (
    select from user_auth.throttle t
    where t.tenant_id = tenant and t.key = any (keys) and t.until > throttle_enter.at
  ) then
    return false;
  end if;
  update user_auth.throttle t
    set tries = n.tries, last_at = throttle_enter.at,
        until = case
          when n.tries < n.free then '-infinity'
          else throttle_enter.at + make_interval(
            secs => least(n.longest, 2 ^ least(n.tries - n.free, 30)))
        end
    from (
      select k.key, k.free, k.longest,
        case when c.last_at < throttle_enter.at - interval '1 hour' then 1 else c.tries + 1 end
          as tries
      from unnest(keys, free, longest) as k (key, free, longest)
      join user_auth.throttle c on c.tenant_id = tenant and c.key = k.key
    ) n
    where t.tenant_id = tenant and t.key = n.key;
  return true;
end
$$;
