create table core_os.announcement (
  tenant_id uuid not null,
  id uuid not null,
  title text not null check (length(title) between 1 and 160),
  body text not null check (length(body) <= 10000),
  level text not null check (level in ('news', 'notice', 'warning')),
  starts_at timestamptz not null,
  ends_at timestamptz,
  created_at timestamptz not null,
  primary key (tenant_id, id),
  check (ends_at is null or ends_at > starts_at)
);

create table core_os.incident (
  tenant_id uuid not null,
  id uuid not null,
  title text not null check (length(title) between 1 and 160),
  impact text not null check (impact in ('minor', 'major', 'critical')),
  state text not null check (state in ('open', 'monitoring', 'resolved')),
  services text[] not null,
  opened_at timestamptz not null,
  resolved_at timestamptz,
  primary key (tenant_id, id),
  check ((state = 'resolved') = (resolved_at is not null))
);
create index incident_unresolved on core_os.incident (tenant_id) where state <> 'resolved';

create table core_os.incident_note (
  tenant_id uuid not null,
  id uuid not null,
  incident_id uuid not null,
  state text not null,
  body text not null check (length(body) between 1 and 4000),
  written_by text not null,
  written_at timestamptz not null,
  primary key (tenant_id, id),
  foreign key (tenant_id, incident_id) references core_os.incident (tenant_id, id)
);
create index incident_note_of on core_os.incident_note (tenant_id, incident_id, written_at);

-- What the sweep saw. The installation's services are the same for every tenant of it, so these
-- rows belong to the tenant of the installation itself.
create table core_os.service_state (
  tenant_id uuid not null,
  service text not null,
  up boolean not null,
  reason text not null,
  since timestamptz not null,
  checked_at timestamptz not null,
  primary key (tenant_id, service)
);

-- One row per service and UTC day: availability is up_checks / checks.
create table core_os.service_day (
  tenant_id uuid not null,
  service text not null,
  day date not null,
  checks bigint not null,
  up_checks bigint not null,
  primary key (tenant_id, service, day),
  check (up_checks between 0 and checks)
);
