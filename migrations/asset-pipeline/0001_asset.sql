-- Assets, and the work on each. A step is `(run, name, lane)`; the service that does it adds the
-- profile by which it is done.

create table asset_pipeline.asset (
  tenant_id uuid not null,
  id uuid not null,
  owner_id uuid not null,
  upload_id uuid not null,
  title text not null check (length(title) between 1 and 200),
  file_name text not null check (length(file_name) <= 255),
  -- {bucket, key} of the original.
  source jsonb not null,
  bytes bigint not null,
  sha256 text not null check (length(sha256) = 64),
  media_type text not null check (length(media_type) <= 120),
  -- processing: a run is under way, or was given up half-way and can be taken up again.
  state text not null check (state in ('processing', 'ready', 'failed', 'deleted')),
  -- The run that is under way, or was last.
  run_id uuid not null,
  -- What is played; another one once a later run has made something that can be.
  package_id uuid,
  duration_ms bigint not null default 0,
  facts jsonb,
  -- Less than the whole came about.
  is_degraded boolean not null default false,
  failure_code text check (length(failure_code) <= 60),
  failure_detail text check (length(failure_detail) <= 2000),
  version bigint not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  playable_at timestamptz,
  ready_at timestamptz,
  deleted_at timestamptz,
  primary key (tenant_id, id),
  constraint asset_upload unique (tenant_id, upload_id)
);
create index asset_owner on asset_pipeline.asset (tenant_id, owner_id, id);

-- One processing of an asset, into a package of its own.
create table asset_pipeline.run (
  tenant_id uuid not null,
  id uuid not null,
  asset_id uuid not null,
  package_id uuid not null,
  -- 1 for an asset's first.
  number int not null check (number between 1 and 1000),
  state text not null check (state in ('running', 'succeeded', 'failed', 'cancelled')),
  priority smallint not null check (priority between -100 and 100),
  created_at timestamptz not null,
  finished_at timestamptz,
  -- From when on nobody plays its package any more.
  retired_at timestamptz,
  -- When the last of its objects was gone.
  collected_at timestamptz,
  primary key (tenant_id, id),
  constraint run_number unique (tenant_id, asset_id, number)
);
create index run_retired_at on asset_pipeline.run (retired_at)
  where retired_at is not null and collected_at is null;

create table asset_pipeline.step (
  tenant_id uuid not null,
  run_id uuid not null,
  name text not null check (name in ('probe', 'transcode', 'thumbnail', 'metadata')),
  -- Of `transcode`; empty otherwise.
  lane text not null check (lane in ('', 'fast', 'ladder')),
  -- requested: told to the service whose step it is. running: it has told that it has begun.
  state text not null check (state in (
    'requested', 'running', 'succeeded', 'failed', 'cancelled')),
  attempt int not null check (attempt between 1 and 1000),
  -- When this attempt was asked for, again perhaps.
  requested_at timestamptz not null,
  started_at timestamptz,
  finished_at timestamptz,
  reason_code text check (length(reason_code) <= 60),
  reason_detail text check (length(reason_detail) <= 2000),
  result jsonb,
  primary key (tenant_id, run_id, name, lane)
);
create index step_open on asset_pipeline.step (requested_at)
  where state in ('requested', 'running');
