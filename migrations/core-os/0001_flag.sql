create table core_os.segment (
  tenant_id uuid not null,
  key text not null check (key ~ '^[a-z0-9][a-z0-9._-]{0,127}$'),
  description text not null default '' check (length(description) <= 1000),
  conditions jsonb not null,
  version bigint not null default 1,
  updated_at timestamptz not null,
  primary key (tenant_id, key)
);

create table core_os.flag (
  tenant_id uuid not null,
  key text not null check (key ~ '^[a-z0-9][a-z0-9._-]{0,127}$'),
  description text not null default '' check (length(description) <= 1000),
  state text not null check (state in ('off', 'on', 'archived')),
  variants jsonb not null,
  default_variant text not null,
  off_variant text not null,
  rules jsonb not null,
  version bigint not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (tenant_id, key)
);

-- Every version a flag had, so that "who switched this on, and when" has an answer.
create table core_os.flag_change (
  tenant_id uuid not null,
  key text not null,
  version bigint not null,
  state text not null,
  definition jsonb not null,
  changed_by text not null,
  changed_at timestamptz not null,
  primary key (tenant_id, key, version)
);
