-- What users schedule and queue. When something is due, and where it waits until it is done, is
-- kept by the platform (platform.schedule_*, platform.queue_*); here stands what it means to a
-- user: whom to call, how often to try, and what came back.

-- Keys that sign callbacks. The newest has no end; the one before it signs beside it for a while.
create table scheduler.signing_secret (
  tenant_id uuid not null,
  id uuid not null,
  key bytea not null check (octet_length(key) between 24 and 64),
  created_at timestamptz not null,
  created_by text not null,
  expires_at timestamptz,
  primary key (tenant_id, id)
);
create unique index signing_secret_newest on scheduler.signing_secret (tenant_id)
  where expires_at is null;

create table scheduler.schedule (
  tenant_id uuid not null,
  id uuid not null,
  name text not null check (length(name) between 1 and 120),
  timing jsonb not null,
  retry jsonb not null,
  target jsonb not null,
  version bigint not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  updated_by text not null,
  -- Fires up to this instant that were missed have been told.
  told_at timestamptz not null,
  primary key (tenant_id, id),
  constraint schedule_name unique (tenant_id, name)
);

create table scheduler.queue (
  tenant_id uuid not null,
  id uuid not null,
  -- Part of the name of the platform's queue, for good.
  name text not null check (name ~ '^[a-z0-9][a-z0-9._-]{0,63}$'),
  callback jsonb not null,
  retry jsonb not null,
  concurrency_max int not null check (concurrency_max between 1 and 100),
  rate_per_minute int check (rate_per_minute between 1 and 60000),
  -- Whether jobs may carry a group, of which one at a time is worked on.
  ordered boolean not null,
  dedup_window_seconds int not null check (dedup_window_seconds between 1 and 86400),
  version bigint not null default 1,
  paused_at timestamptz,
  paused_by text,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  updated_by text not null,
  -- The instant for which the rate has been used up (the theoretical arrival time of GCRA).
  used_up_at timestamptz not null,
  primary key (tenant_id, id),
  constraint queue_name unique (tenant_id, name)
);

-- A piece of work and what became of it. Its id is that of its message and of its `webhook-id`.
create table scheduler.job (
  tenant_id uuid not null,
  id uuid not null,
  -- job: of a queue. run: a schedule's call, without a queue of the user's.
  kind text not null check (kind in ('job', 'run')),
  queue_id uuid,
  -- Whose run it is, or whose fire has put it into its queue.
  schedule_id uuid,
  scheduled_at timestamptz,
  -- Of a job.
  payload jsonb,
  priority int not null default 0 check (priority between -100 and 100),
  group_key text check (length(group_key) between 1 and 150),
  dedup_key text check (length(dedup_key) between 1 and 150),
  -- Not before this instant.
  run_at timestamptz not null,
  -- queued: also between two attempts.
  state text not null check (state in ('queued', 'running', 'succeeded', 'dead', 'cancelled')),
  attempt int not null default 0,
  -- The HTTP status of the last answer, and what was wrong with it.
  status int,
  reason text,
  created_at timestamptz not null,
  started_at timestamptz,
  finished_at timestamptz,
  primary key (tenant_id, id),
  check ((kind = 'job') = (queue_id is not null)),
  check ((finished_at is not null) = (state in ('succeeded', 'dead', 'cancelled')))
);
create index job_queue on scheduler.job (tenant_id, queue_id, id) where queue_id is not null;
create index job_schedule on scheduler.job (tenant_id, schedule_id, id)
  where schedule_id is not null;
create index job_queued on scheduler.job (tenant_id, queue_id) where state = 'queued';
create index job_dead on scheduler.job (tenant_id, id) where state = 'dead';
create index job_running on scheduler.job (started_at) where state = 'running';
create index job_finished_at on scheduler.job (finished_at) where finished_at is not null;

-- Each call, with the beginning of what came back.
create table scheduler.attempt (
  tenant_id uuid not null,
  id uuid not null,
  job_id uuid not null,
  number int not null,
  started_at timestamptz not null,
  duration_ms bigint not null,
  status int,
  -- Empty where all went well.
  reason text not null,
  body text not null check (octet_length(body) <= 8192),
  primary key (tenant_id, id),
  foreign key (tenant_id, job_id) references scheduler.job on delete cascade
);
create index attempt_job on scheduler.attempt (tenant_id, job_id, id);

-- Keys within the window of their queue.
create table scheduler.job_key (
  tenant_id uuid not null,
  queue_id uuid not null,
  key text not null,
  job_id uuid not null,
  expires_at timestamptz not null,
  primary key (tenant_id, queue_id, key)
);
create index job_key_expires_at on scheduler.job_key (expires_at);

-- The platform's queue behind a user's one. A name of a user's begins with a letter or digit.
create function scheduler.platform_queue(tenant uuid, name text) returns text
language sql immutable return tenant::text || '/' || name;

-- The platform's queue of a tenant's runs.
create function scheduler.run_queue(tenant uuid) returns text
language sql immutable return tenant::text || '/~runs';

-- Makes a queue of the platform; violates `platform_queues_max` when the installation has no room.
create function scheduler.put_platform_queue(name text, handler text, settings jsonb) returns void
language plpgsql as $$
begin
  perform platform.queue_put(name, handler, settings);
exception when program_limit_exceeded then
  raise exception 'no more queues' using errcode = '23514', constraint = 'platform_queues_max';
end
$$;

-- Puts a job into its queue, unless its key is known within the queue's window. `delay_ms` is from
-- now by the database's clock, `run_at` the same instant by the components'. Violates
-- `job_queued_max` when the queue is full and `job_queue_gone` when it is not there any more.
create function scheduler.put_job(
  tenant uuid, queue uuid, job uuid, schedule uuid, payload jsonb, priority int, group_key text,
  dedup_key text, delay_ms bigint, run_at timestamptz, asked_at timestamptz
) returns void
language plpgsql as $$
declare
  -- What waits is listed, purged and counted row by row.
  queued_max constant int := 10000;
  q scheduler.queue;
  queued bigint;
begin
  select * into q from scheduler.queue o
  where o.tenant_id = tenant and o.id = queue for key share;
  if not found then
    raise exception 'no such queue' using errcode = '23514', constraint = 'job_queue_gone';
  end if;
  if put_job.dedup_key is not null then
    insert into scheduler.job_key as k (tenant_id, queue_id, key, job_id, expires_at)
    values (tenant, queue, put_job.dedup_key, job,
      asked_at + make_interval(secs => q.dedup_window_seconds))
    on conflict (tenant_id, queue_id, key) do update
      set job_id = excluded.job_id, expires_at = excluded.expires_at
      where k.expires_at <= asked_at;
    if not found then
      return;
    end if;
  end if;
  select count(*) into queued from (
    select from scheduler.job j
    where j.tenant_id = tenant and j.queue_id = queue and j.state = 'queued' limit queued_max
  ) j;
  if queued >= queued_max then
    raise exception 'the queue is full' using errcode = '23514', constraint = 'job_queued_max';
  end if;
  insert into scheduler.job (
    tenant_id, id, kind, queue_id, schedule_id, payload, priority, group_key, dedup_key, run_at,
    state, created_at
  ) values (
    tenant, job, 'job', queue, schedule, put_job.payload, put_job.priority, put_job.group_key,
    put_job.dedup_key, put_job.run_at, 'queued', asked_at
  );
  perform platform.enqueue(scheduler.platform_queue(tenant, q.name), job, 'platform.job.due.v1',
    job::text, tenant, jsonb_build_object('job', job), null,
    jsonb_strip_nulls(jsonb_build_object(
      'delay_ms', nullif(greatest(put_job.delay_ms, 0), 0), 'priority', put_job.priority,
      'group', put_job.group_key)));
end
$$;

-- Jobs are found dead by the platform's queue of each, with their ids.
create function scheduler.platform_queue_of(job scheduler.job) returns text
language sql stable return case job.kind
  when 'run' then scheduler.run_queue(job.tenant_id)
  else (
    select scheduler.platform_queue(q.tenant_id, q.name) from scheduler.queue q
    where q.tenant_id = job.tenant_id and q.id = job.queue_id
  )
end;

-- Sends dead jobs of one queue again, with all attempts before them; `per_second` spreads them.
-- Returns how many; those whose dead letter the platform has forgotten stay as they are.
create function scheduler.redrive(tenant uuid, queue text, ids uuid[], per_second float8)
returns bigint
language plpgsql as $$
declare
  one uuid;
  sent uuid[] := '{}';
begin
  foreach one in array ids loop
    -- A dry run says whether the letter is still there.
    if platform.queue_redrive(
        queue, jsonb_build_object('ids', jsonb_build_array(one)), true, null) = 1 then
      sent := sent || one;
    end if;
  end loop;
  if sent = '{}' then
    return 0;
  end if;
  perform platform.queue_redrive(
    queue, jsonb_build_object('ids', to_jsonb(sent)), false, per_second);
  update scheduler.job j
  set state = 'queued', attempt = 0, finished_at = null
  where j.tenant_id = tenant and j.id = any (sent) and j.state = 'dead';
  return cardinality(sent);
end
$$;

-- Throws dead letters away.
create function scheduler.discard(queue text, filter jsonb) returns bigint
language plpgsql as $$
begin
  return platform.queue_discard(queue, 'dead', filter);
end
$$;

-- Takes what waits out of a queue: all of it, or one job. Returns nothing; jobs that are being
-- worked on stay.
create function scheduler.withdraw(
  tenant uuid, queue uuid, queue_name text, job uuid, at timestamptz
) returns bigint
language plpgsql as $$
declare
  platform_queue constant text := scheduler.platform_queue(tenant, queue_name);
  filter constant jsonb := case when job is null then '{"all": true}'
    else jsonb_build_object('ids', jsonb_build_array(job)) end;
  withdrawn bigint;
begin
  update scheduler.job j set state = 'cancelled', finished_at = at
  where j.tenant_id = tenant and j.queue_id = queue and j.state = 'queued'
    and (withdraw.job is null or j.id = withdraw.job);
  get diagnostics withdrawn = row_count;
  -- What is claimed this moment finds its job cancelled.
  perform platform.queue_discard(platform_queue, 'ready', filter),
    platform.queue_discard(platform_queue, 'deferred', filter);
  return withdrawn;
end
$$;
