-- Secrets: documents that are kept and given back, in versions. Written by many, read by few.

create table kms.secret (
  tenant_id uuid not null,
  id uuid not null,
  name text not null check (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$'),
  latest_version int not null,
  -- Older versions are destroyed when there are more.
  versions_max int not null check (versions_max between 1 and 100),
  -- Whether a writer must say which version it has seen.
  check_and_set boolean not null,
  created_at timestamptz not null,
  created_by text not null,
  updated_at timestamptz not null,
  primary key (tenant_id, id),
  constraint secret_name unique (tenant_id, name)
);

create table kms.secret_version (
  tenant_id uuid not null,
  secret_id uuid not null,
  version int not null check (version >= 1),
  -- JSON, wrapped by the tenant's key; null once it is destroyed.
  wrapped bytea,
  created_at timestamptz not null,
  created_by text not null,
  -- Deleted: not given back, but restored on demand.
  deleted_at timestamptz,
  destroyed_at timestamptz,
  primary key (tenant_id, secret_id, version),
  foreign key (tenant_id, secret_id) references kms.secret on delete cascade,
  check ((wrapped is null) = (destroyed_at is not null))
);
