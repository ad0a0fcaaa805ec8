-- What is inside the files of assets. Where, when and by whom something was recorded is not kept.

create table media_metadata.item (
  tenant_id uuid not null,
  asset_id uuid not null,
  owner_id uuid not null,
  run_id uuid not null,
  facts jsonb not null,
  -- What the file calls itself; texts of whoever made it.
  tags jsonb not null,
  updated_at timestamptz not null,
  primary key (tenant_id, asset_id)
);
create index item_owner on media_metadata.item (tenant_id, owner_id);

-- Looks into a file; the id is that of the worker's job.
create table media_metadata.job (
  tenant_id uuid not null,
  id uuid not null,
  asset_id uuid not null,
  owner_id uuid not null,
  run_id uuid not null,
  attempt int not null,
  -- withdrawn: nobody wants to know any more.
  state text not null check (state in ('running', 'succeeded', 'failed', 'withdrawn')),
  created_at timestamptz not null,
  finished_at timestamptz,
  primary key (tenant_id, id),
  constraint job_step unique (tenant_id, run_id, attempt)
);
create index job_asset on media_metadata.job (tenant_id, asset_id);
create index job_finished_at on media_metadata.job (finished_at) where finished_at is not null;
