-- Which assets are protected, by which packages and keys, and how far work on them is. What is
-- known of assets beside that is told by others. Keys are kept as kms has wrapped them.

create table drm.default_protection (
  tenant_id uuid primary key,
  protection text not null check (protection in ('none', 'cbcs')),
  decided_at timestamptz not null
);

create table drm.asset (
  tenant_id uuid not null,
  id uuid not null,
  -- Absent until it is told, and of one that is deleted.
  owner_id uuid,
  -- Its own; absent where the tenant's holds.
  protection text check (protection in ('none', 'cbcs')),
  -- After which its keys are replaced; never where it is absent.
  rotate_days int check (rotate_days between 1 and 365),
  -- The newest clear package, whose ids sort by when they were made, and its tracks.
  clear_id uuid,
  tracks jsonb not null default '[]',
  -- No track comes any more.
  is_complete boolean not null default false,
  is_deleted boolean not null default false,
  -- Counts changes: of two that were decided at once one is decided again.
  version bigint not null,
  primary key (tenant_id, id)
);
create index asset_owner on drm.asset (tenant_id, owner_id);

create table drm.package (
  tenant_id uuid not null,
  id uuid not null,
  asset_id uuid not null,
  clear_id uuid not null,
  scheme text not null check (scheme in ('cbcs')),
  state text not null check (state in ('making', 'playable', 'complete', 'failed')),
  failure text check (length(failure) <= 400),
  created_at timestamptz not null,
  changed_at timestamptz not null,
  -- From when on no new player gets it.
  retired_at timestamptz,
  -- From when on no player gets keys of it.
  withdrawn_at timestamptz,
  primary key (tenant_id, id)
);
create index package_asset on drm.package (tenant_id, asset_id, id);
create index package_retired on drm.package (retired_at) where retired_at is not null;

-- One key for each class of tracks.
create table drm.key (
  tenant_id uuid not null,
  package_id uuid not null,
  class text not null check (class in ('audio', 'sd', 'hd', 'uhd')),
  key_id uuid not null,
  -- As kms has wrapped it.
  wrapped text not null check (length(wrapped) <= 1000),
  primary key (tenant_id, package_id, class)
);

create table drm.track (
  tenant_id uuid not null,
  package_id uuid not null,
  name text not null check (length(name) <= 20),
  -- 32 hexadecimal digits.
  vector text not null check (length(vector) = 32),
  -- The segment that is encrypted next.
  next int not null default 0 check (next >= 0),
  -- When that was asked for.
  ordered_at timestamptz not null,
  done_at timestamptz,
  primary key (tenant_id, package_id, name)
);
create index track_undone on drm.track (ordered_at) where done_at is null;

-- What has become of segments, until their track's index is written.
create table drm.part (
  tenant_id uuid not null,
  package_id uuid not null,
  track text not null,
  first int not null,
  segments jsonb not null,
  primary key (tenant_id, package_id, track, first)
);
