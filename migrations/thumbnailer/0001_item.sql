-- Pictures of assets: where they lie and what they show. The bytes lie in the bucket `media`.

create table thumbnailer.item (
  tenant_id uuid not null,
  asset_id uuid not null,
  owner_id uuid not null,
  package_id uuid not null,
  duration_ms bigint not null,
  -- [{key, width, height, at_ms, score}], the best first.
  posters jsonb not null,
  -- The one that stands for the asset.
  poster int not null default 0,
  -- [{key, tiles}]: pictures of the way through, in rows.
  sprites jsonb not null,
  interval_ms bigint not null,
  tile_width int not null,
  tile_height int not null,
  tile_columns int not null check (tile_columns between 1 and 100),
  updated_at timestamptz not null,
  primary key (tenant_id, asset_id)
);

-- The id is that of the worker's job.
create table thumbnailer.job (
  tenant_id uuid not null,
  id uuid not null,
  asset_id uuid not null,
  run_id uuid not null,
  attempt int not null,
  -- The order that is being answered.
  request jsonb not null,
  state text not null check (state in ('running', 'succeeded', 'failed', 'withdrawn')),
  reason_code text check (length(reason_code) <= 60),
  created_at timestamptz not null,
  finished_at timestamptz,
  primary key (tenant_id, id),
  constraint job_step unique (tenant_id, run_id, attempt)
);
create index job_asset on thumbnailer.job (tenant_id, asset_id);
create index job_finished_at on thumbnailer.job (finished_at) where finished_at is not null;

-- A poster in another size, made when somebody first asks for it. The id is that of its job.
create table thumbnailer.image (
  tenant_id uuid not null,
  id uuid not null,
  asset_id uuid not null,
  -- The poster's own object, which a later run replaces.
  source_key text not null,
  width int not null check (width between 16 and 2048),
  height int not null check (height between 16 and 2048),
  fit text not null check (fit in ('cover', 'contain')),
  key text not null,
  state text not null check (state in ('running', 'ready', 'failed')),
  created_at timestamptz not null,
  -- To the day.
  used_at timestamptz not null,
  primary key (tenant_id, id),
  constraint image_size unique (tenant_id, source_key, width, height, fit)
);
create index image_asset on thumbnailer.image (tenant_id, asset_id);
create index image_used_at on thumbnailer.image (used_at);
