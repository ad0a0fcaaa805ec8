-- What is known of packages beside the objects that they are: whose they are, and which lanes of
-- them were found good. Playlists are made of the objects.

create table manifest_builder.package (
  tenant_id uuid not null,
  id uuid not null,
  asset_id uuid not null,
  -- Told by the pipeline; absent until then.
  owner_id uuid,
  -- No track comes any more.
  is_complete boolean not null default false,
  created_at timestamptz not null,
  primary key (tenant_id, id)
);
create index package_asset on manifest_builder.package (tenant_id, asset_id);

-- A lane whose tracks are there.
create table manifest_builder.lane (
  tenant_id uuid not null,
  package_id uuid not null,
  name text not null check (name in ('fast', 'ladder')),
  -- Why playlists cannot be made of it; absent when they can.
  fault text check (length(fault) <= 400),
  told_at timestamptz not null,
  constraint lane_pkey primary key (tenant_id, package_id, name)
);
