-- Profiles of tenants, and the jobs by which tracks are made.

-- A tenant's own sizes. The built-in ones stand in the code.
create table transcoder.profile (
  tenant_id uuid not null,
  id uuid not null,
  name text not null check (name ~ '^[a-z][a-z0-9-]{0,39}$'),
  -- {crf, preset, rungs: [{side, maxrate_bps, fps_max}]}
  ladder jsonb not null,
  -- What is used where nobody says anything else; without any, a built-in one is.
  is_default boolean not null,
  version bigint not null default 1,
  updated_at timestamptz not null,
  updated_by text not null,
  primary key (tenant_id, id),
  constraint profile_name unique (tenant_id, name)
);
create unique index profile_default on transcoder.profile (tenant_id) where is_default;

-- The id is that of the worker's job.
create table transcoder.job (
  tenant_id uuid not null,
  id uuid not null,
  asset_id uuid not null,
  run_id uuid not null,
  lane text not null check (lane in ('fast', 'ladder')),
  -- remux: the source's own tracks are published. encode: tracks are made of it.
  method text not null check (method in ('remux', 'encode')),
  attempt int not null,
  profile text not null,
  -- Of all that decides what comes out.
  profile_hash text not null,
  -- The order that is being answered, to be answered by another method perhaps.
  request jsonb not null,
  -- withdrawn: nobody wants it any more.
  state text not null check (state in ('running', 'succeeded', 'failed', 'withdrawn')),
  -- What the worker says; null until then.
  result jsonb,
  reason_code text check (length(reason_code) <= 60),
  reason_detail text check (length(reason_detail) <= 2000),
  cpu_seconds double precision,
  content_seconds double precision,
  bytes bigint,
  created_at timestamptz not null,
  finished_at timestamptz,
  primary key (tenant_id, id),
  constraint job_step unique (tenant_id, run_id, lane, attempt, method)
);
create index job_asset on transcoder.job (tenant_id, asset_id);
create index job_finished_at on transcoder.job (finished_at) where finished_at is not null;
