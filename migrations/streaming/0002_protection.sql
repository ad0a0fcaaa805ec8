-- What is to be protected, as drm tells it: such assets are played from their protected package.

alter table streaming.asset
  -- Its own; absent where the tenant's holds.
  add column protection text check (protection in ('none', 'cbcs')),
  add column protection_decided_at timestamptz,
  -- The newest of its protected packages, whose ids sort by when they were made.
  add column protected_id uuid,
  add column scheme text check (scheme in ('cbcs'));

create table streaming.default_protection (
  tenant_id uuid primary key,
  protection text not null check (protection in ('none', 'cbcs')),
  decided_at timestamptz not null
);

alter table streaming.session
  -- How its package is protected; absent where it is clear.
  add column scheme text check (scheme in ('cbcs')),
  drop constraint session_end_reason_check,
  add constraint session_end_reason_check check (end_reason in (
    'closed', 'stale', 'replaced', 'unpublished', 'deleted', 'plan', 'erased', 'protection',
    'withdrawn'));
create index session_package on streaming.session (tenant_id, package_id) where ended_at is null;
