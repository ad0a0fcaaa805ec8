-- Keys and what is wrapped by them. Nothing here can be read without the root key, which never
-- enters the database: it wraps a tenant's key, which wraps everything of that tenant.

-- One key per tenant that wraps all others; nil is the platform itself.
create table kms.tenant_key (
  tenant_id uuid primary key,
  wrapped bytea not null,
  -- Which root key wraps it: a fingerprint, from which nothing can be learned.
  root bytea not null check (octet_length(root) = 8),
  created_at timestamptz not null,
  wrapped_at timestamptz not null
);

create table kms.key (
  tenant_id uuid not null,
  id uuid not null,
  -- `tenant`, `service/<component>` or `user/<subject>`: names are unique within an owner.
  owner text not null check (owner ~ '^(tenant|service/.+|user/.+)$' and length(owner) <= 300),
  name text not null check (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$'),
  type text not null check (type in (
    'aes256-gcm96', 'chacha20-poly1305', 'ed25519', 'ecdsa-p256', 'hmac',
    'rsa-2048', 'rsa-3072', 'rsa-4096')),
  state text not null check (state in ('active', 'disabled', 'destroying', 'destroyed')),
  latest_version int not null default 1,
  -- Versions below it neither decrypt nor verify.
  min_decryption_version int not null default 1,
  -- Versions below it neither encrypt nor sign; 0 leaves only the latest.
  min_encryption_version int not null default 0,
  -- Versions below it are destroyed.
  min_available_version int not null default 0,
  derived boolean not null,
  exportable boolean not null,
  deletion_allowed boolean not null default false,
  auto_rotate_seconds bigint check (auto_rotate_seconds between 3600 and 315360000),
  rotate_at timestamptz,
  destroy_at timestamptz,
  -- Who may do what with it; empty leaves that to permissions.
  policy jsonb not null default '[]',
  revision bigint not null default 1,
  created_at timestamptz not null,
  created_by text not null,
  updated_at timestamptz not null,
  primary key (tenant_id, id),
  check ((destroy_at is not null) = (state = 'destroying'))
);
create unique index key_name on kms.key (tenant_id, owner, name) where state <> 'destroyed';
create index key_rotate_at on kms.key (rotate_at) where state = 'active';
create index key_destroy_at on kms.key (destroy_at) where state = 'destroying';

create table kms.key_version (
  tenant_id uuid not null,
  key_id uuid not null,
  version int not null check (version >= 1),
  -- pre_active: known, not used yet. retiring: undoes what it did, and does nothing new.
  state text not null check (state in (
    'pre_active', 'active', 'retiring', 'disabled', 'destroyed')),
  wrapped bytea,
  -- The public half.
  jwk jsonb,
  -- Roughly how many messages it has encrypted: random nonces allow 2^32.
  messages bigint not null default 0,
  created_at timestamptz not null,
  -- When it takes over from the one before.
  activates_at timestamptz,
  primary key (tenant_id, key_id, version),
  foreign key (tenant_id, key_id) references kms.key,
  check ((wrapped is null) = (state = 'destroyed')),
  check ((activates_at is not null) = (state = 'pre_active'))
);
create index key_version_activates_at on kms.key_version (activates_at)
  where state = 'pre_active';

-- How often somebody did something with a key within an hour (see src/usage.rs: exact while small).
create table kms.usage (
  tenant_id uuid not null,
  key_id uuid not null,
  hour timestamptz not null,
  operation text not null,
  actor text not null,
  uses bigint not null,
  told_at timestamptz,
  primary key (tenant_id, key_id, hour, operation, actor)
) with (fillfactor = 70);
create index usage_untold on kms.usage (hour) where told_at is null;

-- Counts. A crash of the database may lose the last half second of it, which a count can bear and
-- every use of a key would otherwise wait for a disk.
create function kms.count_use(
  tenant uuid, key uuid, version int, messages bigint,
  hour timestamptz, operation text, actor text, uses bigint
) returns void language plpgsql as $$
#variable_conflict use_column
begin
  set local synchronous_commit = off;
  if messages > 0 then
    update kms.key_version v set messages = v.messages + count_use.messages
    where v.tenant_id = tenant and v.key_id = key and v.version = count_use.version;
  end if;
  if uses > 0 then
    insert into kms.usage as u (tenant_id, key_id, hour, operation, actor, uses)
    values (tenant, key, count_use.hour, count_use.operation, count_use.actor, count_use.uses)
    on conflict (tenant_id, key_id, hour, operation, actor)
      do update set uses = u.uses + excluded.uses;
  end if;
end
$$;
