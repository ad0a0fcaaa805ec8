-- Who plays what. Assets, pictures and plans are projections of what others tell; sessions and
-- progress are this service's own.

create table streaming.asset (
  tenant_id uuid not null,
  id uuid not null,
  -- Both are absent of an asset of which only a decision about its publication was heard.
  owner_id uuid,
  -- What is played: the newest of the packages, whose ids sort by when they were made.
  package_id uuid,
  duration_ms bigint not null default 0,
  -- Everybody of the tenant may play it.
  is_published boolean not null default false,
  -- When that was decided.
  decided_at timestamptz,
  is_deleted boolean not null default false,
  primary key (tenant_id, id)
);

-- Pictures of packages that have some.
create table streaming.picture (
  tenant_id uuid not null,
  package_id uuid not null,
  asset_id uuid not null,
  -- The name of the poster within the package's pictures.
  poster text check (length(poster) <= 100),
  has_storyboard boolean not null,
  primary key (tenant_id, package_id)
);
create index picture_asset on streaming.picture (tenant_id, asset_id);

-- What somebody may have; who is not here has what is free.
create table streaming.entitlement (
  tenant_id uuid not null,
  subject_id uuid not null,
  plan text not null check (plan in ('free', 'creator', 'hollywood', 'enterprise')),
  -- At once; as many as the plan says where it is absent.
  concurrency int check (concurrency between 1 and 100),
  updated_at timestamptz not null,
  primary key (tenant_id, subject_id)
);

-- One playback. A viewer has as many places as may play at once; each is taken once.
create table streaming.session (
  tenant_id uuid not null,
  id uuid not null,
  viewer_id uuid not null,
  slot int not null check (slot between 1 and 100),
  asset_id uuid not null,
  package_id uuid not null,
  owner_id uuid not null,
  duration_ms bigint not null,
  device text not null check (length(device) <= 120),
  height_max int not null check (height_max between 1 and 65535),
  state text not null check (state in ('playing', 'paused', 'buffering', 'ended')),
  position_ms bigint not null check (position_ms >= 0),
  watched_ms bigint not null default 0 check (watched_ms >= 0),
  is_qualified boolean not null default false,
  started_at timestamptz not null,
  -- When the player was heard last.
  heard_at timestamptz not null,
  -- When the newest token ends.
  token_expires_at timestamptz not null,
  ended_at timestamptz,
  end_reason text check (end_reason in (
    'closed', 'stale', 'replaced', 'unpublished', 'deleted', 'plan', 'erased')),
  -- When the end was told to others.
  told_at timestamptz,
  primary key (tenant_id, id)
);
create unique index session_slot on streaming.session (tenant_id, viewer_id, slot)
  where ended_at is null;
create index session_asset on streaming.session (tenant_id, asset_id) where ended_at is null;
create index session_heard_at on streaming.session (heard_at) where ended_at is null;
create index session_untold on streaming.session (ended_at)
  where ended_at is not null and told_at is null;
create index session_viewer on streaming.session (tenant_id, viewer_id, id);

-- How far somebody is.
create table streaming.progress (
  tenant_id uuid not null,
  viewer_id uuid not null,
  asset_id uuid not null,
  position_ms bigint not null check (position_ms >= 0),
  duration_ms bigint not null check (duration_ms >= 0),
  -- Seen to its end, but for what everybody leaves out.
  is_finished boolean not null,
  updated_at timestamptz not null,
  primary key (tenant_id, viewer_id, asset_id)
);
create index progress_updated_at on streaming.progress (tenant_id, viewer_id, updated_at);
create index progress_asset on streaming.progress (tenant_id, asset_id);
