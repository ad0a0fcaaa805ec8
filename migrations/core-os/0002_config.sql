create table core_os.config (
  tenant_id uuid not null,
  scope text not null check (scope ~ '^[a-z][a-z0-9-]{0,62}$'),
  key text not null check (key ~ '^[a-z0-9][a-z0-9._-]{0,127}$'),
  value jsonb not null,
  version bigint not null default 1,
  updated_by text not null,
  updated_at timestamptz not null,
  primary key (tenant_id, scope, key)
);

create table core_os.brand (
  tenant_id uuid primary key,
  name text not null check (length(name) between 1 and 60),
  tagline text not null check (length(tagline) <= 160),
  primary_color text not null,
  secondary_color text not null,
  accent_color text not null,
  font text not null,
  logo_svg text not null check (length(logo_svg) <= 32768),
  version bigint not null default 1,
  updated_at timestamptz not null
);
