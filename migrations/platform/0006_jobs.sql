-- Jobs: work for native workers, which claim it over HTTP. A job is a message of the lease queue
-- and has its id; what is more to it stands here: arguments, progress, output, and an end that is
-- told by an event in the same transaction.
--
-- There is one queue per kind and requirement, so that a worker claims from those whose
-- requirements it meets, and a job for a rare machine holds up nobody else.

create table platform.job_queue (
  queue_id int primary key references platform.queue on delete cascade,
  kind text not null check (kind ~ '^[a-z][a-z0-9_]{0,62}$'),
  -- What a worker must offer: {"gpu": 1, "codec": "av1"}.
  requires jsonb not null check (jsonb_typeof(requires) = 'object'),
  -- The group that was claimed last, so that groups take turns.
  last_group text not null default '',
  unique (kind, requires)
);

create table platform.job (
  id uuid primary key,
  queue_id int not null references platform.job_queue on delete cascade,
  -- Of its message, once it was claimed.
  position bigint,
  -- Whose job it is.
  service text not null,
  tenant_id uuid,
  args jsonb not null,
  priority smallint not null,
  -- The job's own bounds; those of its queue are wider.
  attempts_max int not null check (attempts_max between 1 and 100),
  wall_ms bigint not null check (wall_ms between 1000 and 86400000),
  -- The topic of the event that tells the end.
  result_topic text,
  trace text,
  -- `running` is a claim that may have lapsed since: see platform.job_state.
  state text not null default 'queued'
    check (state in ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
  attempt int not null default 0,
  worker text,
  -- When this attempt is to be over.
  deadline timestamptz,
  fraction real not null default 0 check (fraction between 0 and 1),
  stage text check (length(stage) <= 100),
  -- {bucket, key} of an object from which the next attempt goes on.
  checkpoint jsonb,
  cancel_requested_at timestamptz,
  output jsonb,
  error text,
  created_at timestamptz not null default now(),
  started_at timestamptz,
  finished_at timestamptz,
  check ((finished_at is not null) = (state in ('succeeded', 'failed', 'cancelled')))
) with (fillfactor = 70);
create index job_service on platform.job (service, id);
create index job_finished_at on platform.job (finished_at) where finished_at is not null;
create index job_cancel_requested_at on platform.job (cancel_requested_at)
  where cancel_requested_at is not null and finished_at is null;

-- A UUID of version 7 (RFC 9562 section 5.7).
create function platform.new_id() returns uuid
language sql volatile set search_path = pg_catalog, pg_temp
return encode(
  set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) placing
    substring(int8send(floor(extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
    from 1 for 6), 52, 1), 53, 1),
  'hex')::uuid;

-- The queue of a kind and requirement; made when there is none.
create function platform.job_queue_ensure(kind text, requires jsonb) returns int
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  -- Each is a row that every claim of the kind looks at, and a label of metrics.
  queues_max constant int := 500;
  requires_bytes_max constant int := 1024;
  name text := kind;
  found_id int;
begin
  select q.queue_id into found_id from platform.job_queue q
  where q.kind = job_queue_ensure.kind and q.requires = job_queue_ensure.requires;
  if found then
    return found_id;
  end if;
  if kind is null or kind !~ '^[a-z][a-z0-9_]{0,62}$' then
    raise exception 'a kind is a lower-case word, not %', kind using errcode = '22023';
  end if;
  if jsonb_typeof(requires) is distinct from 'object'
    or octet_length(requires::text) > requires_bytes_max then
    raise exception 'requires is an object of at most % bytes', requires_bytes_max
      using errcode = '22023';
  end if;
  if (select count(*) from platform.job_queue) >= queues_max then
    raise exception 'there are % kinds and requirements of jobs already', queues_max
      using errcode = '54000';
  end if;
  if requires <> '{}' then
    name := kind || ' ' || case when length(requires::text) <= 150 then requires::text
      else md5(requires::text) end;
  end if;
  -- Attempts and time are each job's own.
  found_id := platform.queue_ensure('media-native', name, 'job', kind,
    '{"wall_ms": 86400000, "lease_ms": 60000, "attempts_max": 1000, "grouped": true}');
  insert into platform.job_queue (queue_id, kind, requires)
  values (found_id, job_queue_ensure.kind, job_queue_ensure.requires)
  on conflict do nothing;
  return found_id;
end
$$;

-- Submits a job in the caller's transaction. Options: priority, delay_ms, dedup_key, group,
-- attempts_max, wall_ms, requires, result_topic. Returns the job's id: with a dedup_key, that of
-- the first job that the service has submitted with it within 24 hours.
create function platform.job_submit(
  kind text, id uuid, tenant_id uuid, args jsonb, trace text, options jsonb
) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- Asked first: whoever is no service learns nothing about kinds.
  caller constant text := platform.caller();
  args_bytes_max constant int := 65536;
  -- The queue's own limit, less the service's name and a slash.
  key_length_max constant int := 150;
  given constant jsonb := coalesce(options, '{}');
  result_topic constant text := given ->> 'result_topic';
  unknown text;
  into_queue int;
  in_queue jsonb;
  first_id uuid;
begin
  select string_agg(key, ', ') into unknown from jsonb_object_keys(given) key
  where key not in ('priority', 'delay_ms', 'dedup_key', 'group', 'attempts_max', 'wall_ms',
    'requires', 'result_topic');
  if unknown is not null then
    raise exception 'no such option of a job: %', unknown using errcode = '22023';
  end if;
  if args is null or octet_length(args::text) > args_bytes_max then
    raise exception 'a job has arguments of at most % bytes', args_bytes_max
      using errcode = '54000';
  end if;
  if greatest(length(given ->> 'dedup_key'), length(given ->> 'group')) > key_length_max then
    raise exception 'dedup_key and group take at most % characters', key_length_max
      using errcode = '22023';
  end if;
  if result_topic is not null then
    perform platform.event_check(result_topic, null, null, null);
  end if;
  in_queue := jsonb_strip_nulls(jsonb_build_object(
    'priority', given -> 'priority',
    'delay_ms', given -> 'delay_ms',
    'dedup_key', caller || '/' || nullif(given ->> 'dedup_key', ''),
    'group', caller || '/' || nullif(given ->> 'group', '')
  ));
  into_queue := platform.job_queue_ensure(job_submit.kind, coalesce(given -> 'requires', '{}'));
  first_id := platform.queue_insert(into_queue, caller, job_submit.id, 'platform.job.requested.v1',
    job_submit.id::text, job_submit.tenant_id,
    jsonb_build_object('id', job_submit.id, 'kind', job_submit.kind), job_submit.trace, in_queue);
  if first_id <> job_submit.id then
    return first_id;
  end if;
  insert into platform.job (
    id, queue_id, service, tenant_id, args, priority, attempts_max, wall_ms, result_topic, trace
  ) values (
    job_submit.id, into_queue, caller, job_submit.tenant_id, job_submit.args,
    coalesce((given ->> 'priority')::smallint, 0), coalesce((given ->> 'attempts_max')::int, 5),
    coalesce((given ->> 'wall_ms')::bigint, 3600000), result_topic, job_submit.trace
  );
  return job_submit.id;
end
$$;
grant execute on function
  platform.job_submit(text, uuid, uuid, jsonb, text, jsonb) to public;

-- What a job's state is now: a claim that lapsed is none.
create function platform.job_state(job platform.job) returns text
language sql stable set search_path = pg_catalog, pg_temp
return case
  when job.state = 'running' and not exists (
    select from platform.queue_lease l
    where l.queue_id = job.queue_id and l.position = job.position
  ) then 'queued'
  else job.state
end;

-- One of the caller's own jobs, or no row.
create function platform.job_show(job_id uuid)
returns table (
  id uuid, kind text, tenant_id uuid, args jsonb, state text, attempt int, fraction real,
  stage text, output jsonb, error text, cancel_requested boolean, created_at timestamptz,
  started_at timestamptz, finished_at timestamptz
)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select j.id, q.kind, j.tenant_id, j.args, platform.job_state(j), j.attempt, j.fraction,
      j.stage, j.output, j.error, j.cancel_requested_at is not null, j.created_at, j.started_at,
      j.finished_at
    from platform.job j join platform.job_queue q using (queue_id)
    where j.id = job_show.job_id and j.service = platform.caller();
end
$$;
grant execute on function platform.job_show(uuid) to public;

-- Cancels one of the caller's own jobs: at once when nobody works on it, otherwise the worker is
-- asked to stop. Returns the state after that; null when there is no such job.
create function platform.job_cancel(id uuid) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  caller constant text := platform.caller();
  job platform.job;
begin
  select * into job from platform.job j
  where j.id = job_cancel.id and j.service = caller for update;
  if not found then
    return null;
  end if;
  return platform.job_cancel_locked(job);
end
$$;
grant execute on function platform.job_cancel(uuid) to public;

-- The host's: as above, for whoever may cancel anything. The row is locked.
create function platform.job_cancel_locked(job platform.job) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if job.finished_at is not null then
    return job.state;
  end if;
  update platform.job j set cancel_requested_at = coalesce(j.cancel_requested_at, now())
  where j.id = job.id;
  if platform.job_state(job) = 'running' then
    return 'running';
  end if;
  -- Its message stays where it is, and is thrown away by whoever claims it.
  perform platform.job_end(job.id, 'cancelled', null, null);
  return 'cancelled';
end
$$;

-- The host's: ends a job and tells it, as a fact of the service whose job it was. False when it
-- has ended before.
create function platform.job_end(id uuid, state text, output jsonb, error text) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  job record;
begin
  update platform.job j
  set state = job_end.state, output = job_end.output,
    error = case when job_end.state <> 'succeeded' then coalesce(job_end.error, j.error) end,
    fraction = case when job_end.state = 'succeeded' then 1 else j.fraction end,
    finished_at = now()
  from platform.job_queue q
  where j.id = job_end.id and j.finished_at is null and q.queue_id = j.queue_id
  returning j.id, q.kind, j.service, j.tenant_id, j.attempt, j.output, j.error, j.trace,
    coalesce(j.result_topic, 'platform.job.' || j.state || '.v1') as topic into job;
  if not found then
    return false;
  end if;
  perform platform.event_publish(job.topic, platform.new_id(), job.service, job.id::text,
    job.tenant_id,
    jsonb_build_object('id', job.id, 'kind', job.kind, 'state', job_end.state,
      'attempt', job.attempt, 'output', job.output, 'error', job.error),
    job.trace, null, 0::smallint, null);
  return true;
end
$$;

-- A message that dies, by whichever way, takes its job along.
create function platform.job_died() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform platform.job_end(new.id, 'failed', null, new.reason)
  from platform.job_queue q where q.queue_id = new.queue_id;
  return null;
end
$$;
create trigger job_died after insert on platform.queue_dead
  for each row execute function platform.job_died();

-- A dead message that is sent again takes its job along, too; one that is forgotten does not.
-- Asked at the end of the transaction, when it is where it will be.
create function platform.job_redriven() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update platform.job j
  set state = 'queued', attempt = 0, fraction = 0, stage = null, finished_at = null,
    cancel_requested_at = null
  where j.id = old.id and j.queue_id = old.queue_id and j.state = 'failed'
    and (
      exists (
        select from platform.queue_ready r
        where r.queue_id = old.queue_id and r.position = old.position
      )
      or exists (
        select from platform.queue_deferred d
        where d.queue_id = old.queue_id and d.position = old.position
      )
    );
  return null;
end
$$;
create constraint trigger job_redriven after delete on platform.queue_dead
  deferrable initially deferred
  for each row execute function platform.job_redriven();

-- The host's: claims at most so many jobs of these queues for a worker. Jobs that were cancelled,
-- or whose attempts were used up by leases that lapsed, end here and are handed to nobody.
create function platform.job_claim(queues int[], most int, worker text)
returns table (
  queue_id int, "position" bigint, number int, id uuid, kind text, service text, tenant_id uuid,
  args jsonb, attempt int, attempts_max int, wall_ms bigint, lease_ms bigint, checkpoint jsonb,
  trace text
)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  free int := most;
  queue record;
  message record;
  job platform.job;
begin
  for queue in
    select q.queue_id, q.kind, q.last_group, p.lease_ms
    from platform.job_queue q join platform.queue p on p.id = q.queue_id
    where q.queue_id = any (queues)
    order by random()
  loop
    exit when free <= 0;
    for message in
      select * from platform.queue_claim_in_turn(
        queue.queue_id, free, job_claim.worker, null, queue.last_group)
    loop
      if message.cursor is distinct from queue.last_group then
        update platform.job_queue q set last_group = coalesce(message.cursor, '')
        where q.queue_id = queue.queue_id;
      end if;
      continue when message.position is null;
      select * into job from platform.job j where j.id = message.id for update;
      if not found or job.finished_at is not null or job.cancel_requested_at is not null then
        perform platform.queue_finish(array[message.queue_id], array[message.position],
          array[message.number], array['ack'], array[null::bigint], array[null::text]);
        perform platform.job_end(message.id, 'cancelled', null, null);
      elsif message.attempt > job.attempts_max then
        perform platform.queue_finish(array[message.queue_id], array[message.position],
          array[message.number], array['reject'], array[null::bigint],
          array['out of attempts: the last worker was lost']);
      else
        update platform.job j
        set state = 'running', position = message.position, attempt = message.attempt,
          worker = job_claim.worker, started_at = coalesce(j.started_at, now()),
          deadline = clock_timestamp() + make_interval(secs => j.wall_ms / 1000.0),
          fraction = 0, stage = null
        where j.id = message.id;
        free := free - 1;
        return query select message.queue_id, message.position, message.number, job.id,
          queue.kind, job.service, job.tenant_id, job.args, message.attempt, job.attempts_max,
          job.wall_ms, queue.lease_ms::bigint, job.checkpoint, job.trace;
      end if;
    end loop;
  end loop;
end
$$;

-- The host's: the service whose job is held under a lease; null when the lease is not held.
create function platform.job_held(id uuid, queue int, "position" bigint, number int) returns text
language sql stable set search_path = pg_catalog, pg_temp
return (
  select j.service from platform.job j join platform.queue_lease l
    on l.queue_id = j.queue_id and l.position = j.position
  where j.id = job_held.id and j.queue_id = job_held.queue and j.position = job_held.position
    and l.number = job_held.number
);

-- The host's: a sign of life. Keeps the lease, unless the time for the attempt is over; says how
-- long it lasts from now and whether to stop (cancelled, deadline). No row when it is not held.
create function platform.job_beat(
  id uuid, queue int, "position" bigint, number int, fraction real, stage text
)
returns table (lease_ms bigint, stop text)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  job platform.job;
  lease record;
begin
  select * into job from platform.job j where j.id = job_beat.id for no key update;
  select l.expires_at, q.lease_ms into lease
  from platform.queue_lease l join platform.queue q on q.id = l.queue_id
  where l.queue_id = job_beat.queue and l.position = job_beat.position
    and l.number = job_beat.number and job.queue_id = l.queue_id and job.position = l.position;
  if not found then
    return;
  end if;
  if job.deadline <= clock_timestamp() then
    stop := 'deadline';
    lease_ms := greatest(
      extract(epoch from lease.expires_at - clock_timestamp()) * 1000, 0)::bigint;
  else
    lease_ms := lease.lease_ms;
    perform from platform.queue_extend(array[job_beat.queue], array[job_beat.position],
      array[job_beat.number], lease.lease_ms);
    if not found then
      return;
    end if;
  end if;
  if job.cancel_requested_at is not null then
    stop := 'cancelled';
  end if;
  if (job.fraction, job.stage) is distinct from (job_beat.fraction, job_beat.stage) then
    update platform.job j set fraction = job_beat.fraction, stage = job_beat.stage
    where j.id = job_beat.id;
  end if;
  return next;
end
$$;

-- The host's: remembers where the next attempt goes on. False when the lease is not held.
create function platform.job_checkpoint(
  id uuid, queue int, "position" bigint, number int, checkpoint jsonb
) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  -- Whoever takes the lease away waits for this row.
  perform from platform.job j where j.id = job_checkpoint.id for no key update;
  if platform.job_held(job_checkpoint.id, job_checkpoint.queue, job_checkpoint.position,
      job_checkpoint.number) is null then
    return false;
  end if;
  update platform.job j set checkpoint = job_checkpoint.checkpoint where j.id = job_checkpoint.id;
  return true;
end
$$;

-- The host's: ends an attempt, and the job where it ends. False when the lease is not held.
create function platform.job_finish(
  id uuid, queue int, "position" bigint, number int, outcome text, output jsonb,
  after_ms bigint, reason text
) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  job platform.job;
  verdict text := outcome;
  became text;
  is_cancelled boolean;
begin
  select * into job from platform.job j
  where j.id = job_finish.id and j.queue_id = job_finish.queue
    and j.position = job_finish.position
  for no key update;
  if not found then
    return false;
  end if;
  is_cancelled := job.cancel_requested_at is not null and outcome in ('retry', 'release');
  if is_cancelled then
    verdict := 'ack';
  elsif outcome = 'retry' and job.attempt >= job.attempts_max then
    verdict := 'reject';
  end if;
  select f.state into became
  from platform.queue_finish(array[job_finish.queue], array[job_finish.position],
    array[job_finish.number], array[verdict], array[job_finish.after_ms],
    array[job_finish.reason]) f;
  if not found then
    return false;
  end if;
  if is_cancelled then
    perform platform.job_end(job.id, 'cancelled', null, job_finish.reason);
  elsif became = 'done' then
    perform platform.job_end(job.id, 'succeeded', job_finish.output, null);
  elsif became in ('ready', 'deferred') then
    update platform.job j
    set state = 'queued', error = coalesce(left(job_finish.reason, 2000), j.error)
    where j.id = job.id;
  end if;
  -- A dead message has taken its job along: see platform.job_died.
  return true;
end
$$;

-- The host's: ends jobs that were to be cancelled and whose worker was lost, and forgets those
-- that ended 30 days ago. At most rows_max of each; returns how many.
create function platform.job_sweep(rows_max int) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  lost uuid;
  ended bigint := 0;
  forgotten bigint;
begin
  for lost in
    select j.id from platform.job j
    where j.cancel_requested_at is not null and j.finished_at is null
      and platform.job_state(j) <> 'running'
    limit rows_max for update skip locked
  loop
    perform platform.job_end(lost, 'cancelled', null, null);
    ended := ended + 1;
  end loop;
  delete from platform.job j where j.id = any (array(
    select f.id from platform.job f where f.finished_at < now() - interval '30 days'
    limit rows_max
  ));
  get diagnostics forgotten = row_count;
  return ended + forgotten;
end
$$;
