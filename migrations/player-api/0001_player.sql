-- What players are asked to play, and how it went. Playbacks are a projection of what `streaming`
-- tells.

-- What a kind of device is asked to play, where an administrator wants something else than we do.
create table player_api.device (
  tenant_id uuid not null,
  name text not null check (name ~ '^[a-z0-9-]{1,40}$'),
  engine text not null check (engine in ('hls', 'dash')),
  height_max int check (height_max between 144 and 4320),
  kbps_max int check (kbps_max between 100 and 1000000),
  buffer_seconds int not null check (buffer_seconds between 4 and 300),
  updated_at timestamptz not null,
  primary key (tenant_id, name)
);

create table player_api.playback (
  tenant_id uuid not null,
  id uuid not null,
  asset_id uuid not null,
  owner_id uuid not null,
  viewer_id uuid not null,
  started_at timestamptz not null,
  primary key (tenant_id, id)
);
create index playback_started_at on player_api.playback (started_at);
create index playback_viewer on player_api.playback (tenant_id, viewer_id);

create table player_api.beacon (
  tenant_id uuid not null,
  id uuid not null,
  viewer_id uuid not null,
  -- The player's: a batch that comes twice counts once.
  batch_id uuid not null,
  playback_id uuid not null,
  device text not null check (length(device) <= 40),
  -- Added up.
  measures jsonb not null,
  received_at timestamptz not null,
  -- When it was added to the sums.
  rolled_at timestamptz,
  primary key (tenant_id, id),
  constraint beacon_batch unique (tenant_id, viewer_id, batch_id)
);
create index beacon_waiting on player_api.beacon (received_at, id) where rolled_at is null;
create index beacon_received_at on player_api.beacon (received_at);

create table player_api.qoe_hour (
  tenant_id uuid not null,
  asset_id uuid not null,
  owner_id uuid not null,
  hour timestamptz not null,
  device text not null check (length(device) <= 40),
  plays bigint not null,
  first_frames bigint not null,
  startup_ms bigint not null,
  within_500_ms bigint not null,
  within_1000_ms bigint not null,
  within_2000_ms bigint not null,
  within_4000_ms bigint not null,
  failures bigint not null,
  errors bigint not null,
  left_early bigint not null,
  stalls bigint not null,
  stall_ms bigint not null,
  played_ms bigint not null,
  rung_changes bigint not null,
  -- kb/s times seconds of what was played
  kilobits bigint not null,
  frames bigint not null,
  frames_dropped bigint not null,
  throughput_kbps bigint not null,
  throughputs bigint not null,
  starved bigint not null,
  primary key (tenant_id, asset_id, hour, device)
);
create index qoe_hour_hour on player_api.qoe_hour (hour);
