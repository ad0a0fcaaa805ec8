-- Schedules: what is due when, and what became of it. The host computes the instants (calendars are
-- its business); everything that must happen once happens here, in one transaction: the next
-- instant is exchanged by comparison, the run gets its row, and its message goes into a queue.
--
-- Whoever changes the runs of a schedule holds the row of the schedule. So any number of hosts may
-- fire, and the overlap of runs is decided by one of them at a time. A run's id is its message's.

create table platform.schedule (
  id uuid primary key,
  service text not null,
  name text not null check (length(name) between 1 and 120),
  tenant_id uuid,
  -- manifest: an entry of a component's `cron`. api: put by the service at run time.
  source text not null check (source in ('manifest', 'api')),
  expression text not null check (octet_length(expression) between 1 and 4096),
  zone text not null default 'UTC' check (length(zone) <= 64),
  gap text not null default 'run_after' check (gap in ('run_after', 'skip')),
  -- What a fire does while an earlier run is not over:
  --   skip          nothing, and says so
  --   buffer_one    waits for it, unless another waits already
  --   buffer_all    waits for all before it; at most 100 wait
  --   cancel_other  takes the earlier ones out of the queue. One that is running is not reached:
  --                 its lease is revoked, so that its answer is stale, but what it has committed
  --                 stays
  --   allow         runs beside it
  overlap text not null default 'skip'
    check (overlap in ('skip', 'buffer_one', 'buffer_all', 'cancel_other', 'allow')),
  -- Which of the fires that nobody was there for are made up for.
  catchup text not null default 'latest' check (catchup in ('none', 'latest', 'all')),
  -- How old they may be: an hour for `all`, 31 days for `latest` if absent.
  catchup_window_ms bigint check (catchup_window_ms between 10000 and 2678400000),
  catchup_max int not null default 100 check (catchup_max between 1 and 1000),
  -- Each fire is late by a fixed, random-looking part of this.
  jitter_ms int not null default 0 check (jitter_ms between 0 and 86400000),
  starts_at timestamptz,
  ends_at timestamptz,
  -- Where `every` counts from.
  anchor_at timestamptz,
  pause_on_failure boolean not null default false,
  paused_at timestamptz,
  paused_by text,
  paused_reason text,
  -- A run that is not over so long after it was fired is taken out of the queue.
  wall_ms bigint check (wall_ms between 1000 and 2678400000),
  -- As is one that has used up so many attempts; the queue's own bound holds, too.
  attempts_max int check (attempts_max between 1 and 1000),
  -- Where its messages go. No foreign key: it would lock rows of platform.queue at every change.
  queue_id int not null,
  topic text not null,
  payload jsonb,
  -- Raised by every change of the definition.
  version bigint not null default 1,
  -- The next nominal instant. Null: never again, or not yet computed.
  next_fire_at timestamptz,
  -- When that one is fired: later by its jitter.
  due_at timestamptz,
  recompute boolean not null default true,
  -- Why the host cannot compute it.
  refused text,
  last_scheduled_at timestamptz,
  last_fired_at timestamptz,
  created_at timestamptz not null default now(),
  -- When the definition last changed, or the schedule was resumed.
  updated_at timestamptz not null default now(),
  removed_at timestamptz,
  check (ends_at > starts_at)
) with (
  -- Every fire leaves a dead row.
  fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500,
  autovacuum_vacuum_cost_delay = 0
);
create unique index schedule_name on platform.schedule (service, tenant_id, name)
  nulls not distinct where removed_at is null;
create index schedule_due_at on platform.schedule (due_at)
  where removed_at is null and paused_at is null and not recompute and due_at is not null;
create index schedule_recompute on platform.schedule (id)
  where removed_at is null and paused_at is null and recompute;

create table platform.schedule_run (
  id uuid primary key,
  schedule_id uuid not null references platform.schedule on delete cascade,
  -- The instant that the schedule names, and when it was fired, by the components' clock.
  scheduled_at timestamptz not null,
  fired_at timestamptz not null,
  created_at timestamptz not null default now(),
  trigger text not null check (trigger in ('schedule', 'catchup', 'manual', 'backfill')),
  -- held: waits for an earlier run. due: its message is in the queue. done, dead: as the message.
  -- cancelled: taken out of the queue. skipped: by overlap. missed: by catch-up.
  -- unknown: its message is not known any more.
  state text not null check (state in
    ('held', 'due', 'done', 'dead', 'cancelled', 'skipped', 'missed', 'unknown')),
  reason text,
  requested_by text,
  -- Nominal instants that this row stands for; more than one only for those that were missed, of
  -- which `scheduled_at` is the last.
  fires bigint not null default 1,
  queue_id int,
  position bigint,
  attempt int,
  started_at timestamptz,
  finished_at timestamptz
) with (
  fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000
);
-- However often and by whomever an instant is fired, it is fired once.
create unique index schedule_run_once on platform.schedule_run (schedule_id, scheduled_at)
  where trigger in ('schedule', 'catchup');
create index schedule_run_history
  on platform.schedule_run (schedule_id, scheduled_at desc, id desc);
create index schedule_run_open on platform.schedule_run (schedule_id, scheduled_at, id)
  where state in ('held', 'due');
create index schedule_run_due on platform.schedule_run (id) where state = 'due';
create index schedule_run_created_at on platform.schedule_run (created_at);

-- Orders to fire for a stretch of time, worked off by the host, which knows the instants.
create table platform.schedule_backfill (
  id uuid primary key,
  schedule_id uuid not null references platform.schedule on delete cascade,
  range_from timestamptz not null,
  range_to timestamptz not null,
  overlap text not null
    check (overlap in ('skip', 'buffer_one', 'buffer_all', 'cancel_other', 'allow')),
  requested_by text,
  requested_at timestamptz not null default now(),
  -- Once worked off: how many runs were made, or why none.
  done_at timestamptz,
  fires int,
  refused text,
  check (range_to > range_from)
);
create index schedule_backfill_open on platform.schedule_backfill (requested_at)
  where done_at is null;

-- Where a message is. One statement, one snapshot: it is in at most one place. (Priority 0: all
-- messages of schedules have it, and the index of those that are ready needs it.)
create function platform.schedule_message(
  queue_id int, "position" bigint, out state text, out attempt int, out started_at timestamptz,
  out finished_at timestamptz, out reason text
)
language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  select 'leased', l.attempt, l.claimed_at, null::timestamptz, null::text
  from platform.queue_lease l
  where l.queue_id = schedule_message.queue_id and l.position = schedule_message.position
  union all
  select 'ready', r.attempt, null, null, null from platform.queue_ready r
  where r.queue_id = schedule_message.queue_id and r.priority = 0
    and r.position = schedule_message.position
  union all
  select 'deferred', d.attempt, null, null, d.errors -> -1 ->> 'reason'
  from platform.queue_deferred d
  where d.queue_id = schedule_message.queue_id and d.position = schedule_message.position
  union all
  select case when f.outcome = 'acked' then 'done' else 'cancelled' end, f.attempt, null,
    f.finished_at, nullif(f.outcome, 'acked')
  from platform.queue_done f
  where f.queue_id = schedule_message.queue_id and f.position = schedule_message.position
  union all
  select 'dead', x.attempt, null, x.died_at, x.reason from platform.queue_dead x
  where x.queue_id = schedule_message.queue_id and x.position = schedule_message.position
  limit 1;
end;

-- The runs of the last 30 days with what became of them; for those under way, as of now.
create view platform.schedule_history as
select r.id, r.schedule_id, s.service, s.tenant_id, s.name, r.scheduled_at, r.fired_at, r.trigger,
  case when r.state = 'due' then coalesce(m.state, 'due') else r.state end as state,
  coalesce(r.reason, m.reason) as reason, r.requested_by, r.fires,
  coalesce(m.attempt, r.attempt, 0) as attempt,
  coalesce(m.started_at, r.started_at) as started_at,
  coalesce(m.finished_at, r.finished_at) as finished_at
from platform.schedule_run r
join platform.schedule s on s.id = r.schedule_id
left join lateral platform.schedule_message(r.queue_id, r.position) m on r.state = 'due';

-- An instant as payloads write it.
create function platform.schedule_instant(at timestamptz) returns text
language sql immutable set search_path = pg_catalog, pg_temp
return to_char(schedule_instant.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

-- Takes the schedule for this transaction. Null when it does not exist or was removed.
create function platform.schedule_lock(schedule_id uuid) returns platform.schedule
language sql set search_path = pg_catalog, pg_temp
return (
  select s from platform.schedule s
  where s.id = schedule_lock.schedule_id and s.removed_at is null for no key update
);

-- Puts the message of a run that was held into the queue. Payload:
-- {schedule, schedule_id, scheduled_at, fired_at, trigger}, and `payload` where there is one.
create function platform.schedule_start(schedule platform.schedule, run_id uuid) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  run platform.schedule_run;
  content jsonb;
begin
  select r.* into strict run from platform.schedule_run r where r.id = schedule_start.run_id;
  content := jsonb_build_object(
    'schedule', schedule.name,
    'schedule_id', schedule.id,
    'scheduled_at', platform.schedule_instant(run.scheduled_at),
    'fired_at', platform.schedule_instant(run.fired_at),
    'trigger', run.trigger
  );
  if schedule.payload is not null then
    content := content || jsonb_build_object('payload', schedule.payload);
  end if;
  perform platform.queue_insert(schedule.queue_id, schedule.service, run.id, schedule.topic,
    schedule.name, schedule.tenant_id, content, null, null);
  update platform.schedule_run r
  set state = 'due', queue_id = schedule.queue_id,
    position = currval('platform.event_position')
  where r.id = run.id;
end
$$;

-- Takes a run out of the queue, wherever it is, and ends it. Whoever holds its lease will be told
-- that it is stale. False when it had ended by itself.
create function platform.schedule_cancel_run(run_id uuid, state text, reason text) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  run platform.schedule_run;
  used int;
  begun timestamptz;
begin
  select r.* into strict run from platform.schedule_run r where r.id = schedule_cancel_run.run_id;
  if run.state = 'due' then
    -- Others move it meanwhile, each time in one transaction: whoever follows meets it.
    for try in 1..10 loop
      delete from platform.queue_ready m
      where m.queue_id = run.queue_id and m.priority = 0 and m.position = run.position
      returning m.attempt into used;
      exit when found;
      delete from platform.queue_lease m
      where m.queue_id = run.queue_id and m.position = run.position
      returning m.attempt, m.claimed_at into used, begun;
      exit when found;
      delete from platform.queue_deferred m
      where m.queue_id = run.queue_id and m.position = run.position
      returning m.attempt into used;
      exit when found;
    end loop;
    if used is null then
      return false;
    end if;
    insert into platform.queue_done (day, queue_id, position, attempt, outcome, finished_at)
    values ((now() at time zone 'UTC')::date, run.queue_id, run.position, used, 'cancelled', now());
  elsif run.state <> 'held' then
    return false;
  end if;
  update platform.schedule_run r
  set state = schedule_cancel_run.state, reason = schedule_cancel_run.reason, attempt = used,
    started_at = begun, finished_at = now()
  where r.id = run.id;
  return true;
end
$$;

-- Writes down which runs of a schedule have ended, stops those beyond its bounds, and lets the next
-- one go that was held. The caller holds the schedule. Returns how many ended.
create function platform.schedule_settle(schedule platform.schedule) returns int
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  run record;
  ended int := 0;
  failed text;
  next_run uuid;
begin
  -- What is nowhere may be on its way from one table to another while a slot is truncated; what
  -- has been nowhere for a day was done, and its day dropped.
  for run in
    select r.id, r.created_at, m.* from platform.schedule_run r
    left join lateral platform.schedule_message(r.queue_id, r.position) m on true
    where r.schedule_id = schedule.id and r.state = 'due'
    order by r.scheduled_at, r.id
  loop
    if run.state in ('done', 'dead', 'cancelled')
      or run.state is null and run.created_at < now() - interval '1 day' then
      update platform.schedule_run r
      set state = coalesce(run.state, 'unknown'), reason = coalesce(run.reason, r.reason),
        attempt = run.attempt, finished_at = run.finished_at
      where r.id = run.id;
    elsif run.created_at + make_interval(secs => schedule.wall_ms / 1000.0) < clock_timestamp() then
      continue when not platform.schedule_cancel_run(run.id, 'dead',
        format('not over after %s ms', schedule.wall_ms));
      run.state := 'dead';
    elsif run.state in ('deferred', 'ready') and run.attempt >= schedule.attempts_max then
      continue when not platform.schedule_cancel_run(run.id, 'dead',
        format('%s attempts: %s', run.attempt, coalesce(run.reason, 'failed')));
      run.state := 'dead';
    else
      continue;
    end if;
    ended := ended + 1;
    if run.state = 'dead' then
      failed := run.id;
    end if;
  end loop;
  if failed is not null and schedule.pause_on_failure then
    update platform.schedule s
    set paused_at = now(), paused_by = 'host', paused_reason = format('run %s failed', failed)
    where s.id = schedule.id and s.paused_at is null;
  end if;
  if not exists (
    select from platform.schedule_run r where r.schedule_id = schedule.id and r.state = 'due'
  ) then
    select r.id into next_run from platform.schedule_run r
    join platform.schedule s on s.id = r.schedule_id
    where r.schedule_id = schedule.id and r.state = 'held'
      and (s.paused_at is null or r.trigger in ('manual', 'backfill'))
    order by r.scheduled_at, r.id limit 1;
    if found then
      perform platform.schedule_start(schedule, next_run);
    end if;
  end if;
  return ended;
end
$$;

-- Makes a run and decides by overlap what becomes of it. The caller holds the schedule and has
-- settled it. Returns its state, or null when its instant was fired before.
create function platform.schedule_admit(
  schedule platform.schedule, run_id uuid, scheduled_at timestamptz, fired_at timestamptz,
  trigger text, overlap text, requested_by text
) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  held_max constant int := case schedule_admit.trigger when 'backfill' then 1000 else 100 end;
  due int;
  held int;
  skip_reason text;
  other uuid;
begin
  select count(*) filter (where r.state = 'due'), count(*) filter (where r.state = 'held')
  into due, held
  from platform.schedule_run r
  where r.schedule_id = schedule.id and r.state in ('due', 'held');
  insert into platform.schedule_run (
    id, schedule_id, scheduled_at, fired_at, trigger, state, requested_by
  ) values (
    schedule_admit.run_id, schedule.id, schedule_admit.scheduled_at, schedule_admit.fired_at,
    schedule_admit.trigger, 'held', schedule_admit.requested_by
  ) on conflict do nothing;
  if not found then
    return null;
  end if;
  if schedule_admit.overlap = 'cancel_other' then
    for other in
      select r.id from platform.schedule_run r
      where r.schedule_id = schedule.id and r.state in ('due', 'held')
        and r.id <> schedule_admit.run_id
    loop
      perform platform.schedule_cancel_run(
        other, 'cancelled', format('run %s took its place', schedule_admit.run_id));
    end loop;
  elsif schedule_admit.overlap <> 'allow' and due + held > 0 then
    skip_reason := case
      when schedule_admit.overlap = 'skip' then 'overlap'
      when schedule_admit.overlap = 'buffer_one' and held > 0 then 'one waits already'
      when held >= held_max then 'too many wait already'
    end;
    if skip_reason is null then
      return 'held';
    end if;
    update platform.schedule_run r
    set state = 'skipped', reason = skip_reason where r.id = schedule_admit.run_id;
    return 'skipped';
  end if;
  perform platform.schedule_start(schedule, schedule_admit.run_id);
  return 'due';
end
$$;

-- The host's: fires the instants in order, each with an id for its run, what triggers it, perhaps a
-- reason why it was missed, and how many instants it stands for. Nothing happens, and no row comes
-- back, when somebody else was faster, or the schedule was changed, paused or removed. Otherwise a
-- row for each; its state is `duplicate` where its instant was fired before.
create function platform.schedule_fire(
  schedule_id uuid, version bigint, expected timestamptz, next timestamptz, due timestamptz,
  fired_at timestamptz, ids uuid[], instants timestamptz[], triggers text[], missed text[],
  fires bigint[]
) returns table (run_id uuid, state text, reason text)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  schedule platform.schedule := platform.schedule_lock(schedule_fire.schedule_id);
begin
  if schedule.next_fire_at is distinct from schedule_fire.expected or schedule.id is null then
    return;
  end if;
  -- First, for it may pause the schedule.
  perform platform.schedule_settle(schedule);
  update platform.schedule s
  set next_fire_at = schedule_fire.next, due_at = schedule_fire.due,
    last_fired_at = schedule_fire.fired_at,
    last_scheduled_at = greatest(s.last_scheduled_at, (select max(i) from unnest(instants) i))
  where s.id = schedule_fire.schedule_id and s.version = schedule_fire.version
    and s.next_fire_at is not distinct from schedule_fire.expected and not s.recompute
    and s.paused_at is null and s.removed_at is null
  returning s.* into schedule;
  if not found then
    return;
  end if;
  for at in 1..coalesce(cardinality(ids), 0) loop
    run_id := ids[at];
    reason := missed[at];
    if reason is null then
      state := platform.schedule_admit(
        schedule, run_id, instants[at], fired_at, triggers[at], schedule.overlap, null);
      select r.reason into reason from platform.schedule_run r where r.id = run_id;
    else
      state := 'missed';
      insert into platform.schedule_run (
        id, schedule_id, scheduled_at, fired_at, trigger, state, reason, fires
      ) values (
        run_id, schedule.id, instants[at], fired_at, triggers[at], 'missed', reason, fires[at]
      ) on conflict do nothing;
      if not found then
        state := null;
      end if;
    end if;
    state := coalesce(state, 'duplicate');
    return next;
  end loop;
end
$$;

-- The host's: looks through the runs under way after `after_run`, at most so many, and settles the
-- schedules of those that have ended; also lets go what is held without anything to wait for.
-- Returns how many runs ended, and where to go on (null: from the start).
create function platform.schedule_sweep(
  after_run uuid, rows_max int, out ended int, out last_run uuid
)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  wanted uuid[];
  seen int;
  one uuid;
  schedule platform.schedule;
begin
  ended := 0;
  with looked as materialized (
    select r.id, r.schedule_id, r.created_at, r.queue_id, r.position from platform.schedule_run r
    where r.state = 'due' and (schedule_sweep.after_run is null or r.id > schedule_sweep.after_run)
    order by r.id limit schedule_sweep.rows_max
  ), over as (
    select distinct l.schedule_id
    from looked l
    join platform.schedule s on s.id = l.schedule_id
    left join lateral platform.schedule_message(l.queue_id, l.position) m on true
    where m.state in ('done', 'dead', 'cancelled')
      or m.state is null and l.created_at < now() - interval '1 day'
      or l.created_at + make_interval(secs => s.wall_ms / 1000.0) < clock_timestamp()
      or m.state in ('deferred', 'ready') and m.attempt >= s.attempts_max
  )
  select array(select o.schedule_id from over o), (select count(*) from looked),
    (select l.id from looked l order by l.id desc limit 1)
  into wanted, seen, last_run;
  if seen < schedule_sweep.rows_max then
    last_run := null;
  end if;
  wanted := wanted || array(
    select distinct h.schedule_id from platform.schedule_run h
    join platform.schedule s on s.id = h.schedule_id
    where h.state = 'held' and (s.paused_at is null or h.trigger in ('manual', 'backfill'))
      and not exists (
      select from platform.schedule_run d
      where d.schedule_id = h.schedule_id and d.state = 'due'
    )
    limit schedule_sweep.rows_max
  );
  foreach one in array wanted loop
    -- Whoever holds it settles it.
    select s.* into schedule from platform.schedule s where s.id = one
    for no key update skip locked;
    if found then
      ended := ended + platform.schedule_settle(schedule);
    end if;
  end loop;
end
$$;

-- The host's: forgets runs of more than 30 days ago and schedules removed as long ago, at most so
-- many; returns how many runs went.
create function platform.schedule_purge(rows_max int default 10000) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  gone bigint;
begin
  delete from platform.schedule_run where ctid = any (array(
    select r.ctid from platform.schedule_run r
    where r.created_at < now() - interval '30 days' and r.state not in ('held', 'due')
    limit schedule_purge.rows_max for update skip locked
  ));
  get diagnostics gone = row_count;
  delete from platform.schedule_backfill where ctid = any (array(
    select b.ctid from platform.schedule_backfill b
    where b.done_at < now() - interval '30 days' limit schedule_purge.rows_max
  ));
  delete from platform.schedule where ctid = any (array(
    select s.ctid from platform.schedule s
    where s.removed_at < now() - interval '30 days'
      and not exists (select from platform.schedule_run r where r.schedule_id = s.id)
    limit schedule_purge.rows_max for update skip locked
  ));
  return gone;
end
$$;

-- The host's: the definition of a schedule from the words of a manifest or a service. What it does
-- not name falls back to its default. Only a definition that says something else is a change.
create function platform.schedule_define(
  service text, source text, id uuid, tenant_id uuid, name text, definition jsonb, queue_id int,
  topic text, payload jsonb
) returns uuid
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  unknown text;
  d record;
  wanted platform.schedule;
begin
  select string_agg(key, ', ') into unknown from jsonb_object_keys(schedule_define.definition) key
  where key not in ('expression', 'zone', 'gap', 'overlap', 'catchup', 'catchup_window_ms',
    'catchup_max', 'jitter_ms', 'starts_at', 'ends_at', 'anchor_at', 'pause_on_failure',
    'wall_ms', 'attempts_max');
  if unknown is not null then
    raise exception 'no such part of a schedule: %', unknown using errcode = '22023';
  end if;
  select * into d from jsonb_to_record(schedule_define.definition) r (
    expression text, zone text, gap text, overlap text, catchup text, catchup_window_ms bigint,
    catchup_max int, jitter_ms int, starts_at timestamptz, ends_at timestamptz,
    anchor_at timestamptz, pause_on_failure boolean, wall_ms bigint, attempts_max int
  );
  insert into platform.schedule as s (
    id, service, name, tenant_id, source, expression, zone, gap, overlap, catchup,
    catchup_window_ms, catchup_max, jitter_ms, starts_at, ends_at, anchor_at, pause_on_failure,
    wall_ms, attempts_max, queue_id, topic, payload
  ) values (
    schedule_define.id, schedule_define.service, schedule_define.name, schedule_define.tenant_id,
    schedule_define.source, d.expression, coalesce(d.zone, 'UTC'), coalesce(d.gap, 'run_after'),
    coalesce(d.overlap, 'skip'), coalesce(d.catchup, 'latest'), d.catchup_window_ms,
    coalesce(d.catchup_max, 100), coalesce(d.jitter_ms, 0), d.starts_at, d.ends_at, d.anchor_at,
    coalesce(d.pause_on_failure, false), d.wall_ms, d.attempts_max, schedule_define.queue_id,
    schedule_define.topic, schedule_define.payload
  )
  on conflict on constraint schedule_pkey do update
  set name = excluded.name, expression = excluded.expression, zone = excluded.zone,
    gap = excluded.gap, overlap = excluded.overlap, catchup = excluded.catchup,
    catchup_window_ms = excluded.catchup_window_ms, catchup_max = excluded.catchup_max,
    jitter_ms = excluded.jitter_ms, starts_at = excluded.starts_at, ends_at = excluded.ends_at,
    anchor_at = excluded.anchor_at, pause_on_failure = excluded.pause_on_failure,
    wall_ms = excluded.wall_ms, attempts_max = excluded.attempts_max,
    queue_id = excluded.queue_id, topic = excluded.topic, payload = excluded.payload,
    version = s.version + 1, removed_at = null,
    -- Anything else leaves the next instant, and what was missed before it, as it is.
    recompute = s.recompute or s.removed_at is not null
      or (s.expression, s.zone, s.gap, s.starts_at, s.ends_at, s.anchor_at) is distinct from
        (excluded.expression, excluded.zone, excluded.gap, excluded.starts_at, excluded.ends_at,
         excluded.anchor_at),
    updated_at = case
      when s.removed_at is null
        and (s.expression, s.zone, s.gap, s.starts_at, s.ends_at, s.anchor_at)
        is not distinct from (excluded.expression, excluded.zone, excluded.gap,
          excluded.starts_at, excluded.ends_at, excluded.anchor_at)
      then s.updated_at else now() end
  where s.service = excluded.service and s.source = excluded.source
    and s.tenant_id is not distinct from excluded.tenant_id
    and (s.removed_at is not null
      or (s.name, s.expression, s.zone, s.gap, s.overlap, s.catchup, s.catchup_window_ms,
        s.catchup_max, s.jitter_ms, s.starts_at, s.ends_at, s.anchor_at, s.pause_on_failure,
        s.wall_ms, s.attempts_max, s.queue_id, s.topic, s.payload) is distinct from
      (excluded.name, excluded.expression, excluded.zone, excluded.gap, excluded.overlap,
        excluded.catchup, excluded.catchup_window_ms, excluded.catchup_max, excluded.jitter_ms,
        excluded.starts_at, excluded.ends_at, excluded.anchor_at, excluded.pause_on_failure,
        excluded.wall_ms, excluded.attempts_max, excluded.queue_id, excluded.topic,
        excluded.payload));
  select s.* into wanted from platform.schedule s where s.id = schedule_define.id;
  if wanted.service <> schedule_define.service or wanted.source <> schedule_define.source
    or wanted.tenant_id is distinct from schedule_define.tenant_id then
    raise exception 'schedule % is somebody else''s', schedule_define.id using errcode = '42501';
  end if;
  return wanted.id;
end
$$;

-- Those of a schedule that was removed never start. The caller holds it.
create function platform.schedule_drop_held(schedule_id uuid) returns void
language sql set search_path = pg_catalog, pg_temp
begin atomic
  update platform.schedule_run r
  set state = 'cancelled', reason = 'the schedule was removed', finished_at = now()
  where r.schedule_id = schedule_drop_held.schedule_id and r.state = 'held';
end;

-- The host's: makes a component's cron entries, [{name, definition}], its schedules, and removes
-- the others. Their ticks go to its queue `schedules`, which is made when it is not there. Of two
-- hosts that make the same at once, one fails with 23505 and tries again.
create function platform.schedule_sync(service text, entries jsonb) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  ticks int;
  entry record;
  known uuid;
begin
  select q.id into ticks from platform.queue q
  where q.service = schedule_sync.service and q.name = 'schedules' and q.kind = 'schedule'
    and q.retired_at is null;
  if not found and jsonb_array_length(schedule_sync.entries) > 0 then
    ticks := platform.queue_ensure(
      schedule_sync.service, 'schedules', 'schedule', 'schedules', null);
  end if;
  for entry in
    select e.name, e.definition
    from jsonb_to_recordset(schedule_sync.entries) e (name text, definition jsonb)
  loop
    select s.id into known from platform.schedule s
    where s.service = schedule_sync.service and s.tenant_id is null and s.name = entry.name
      and s.source = 'manifest' and s.removed_at is null;
    perform platform.schedule_define(schedule_sync.service, 'manifest',
      coalesce(known, gen_random_uuid()), null, entry.name, entry.definition, ticks,
      'platform.tick.due.v1', null);
  end loop;
  for known in
    update platform.schedule s set removed_at = now(), version = s.version + 1
    where s.service = schedule_sync.service and s.source = 'manifest' and s.removed_at is null
      and not exists (
        select from jsonb_to_recordset(schedule_sync.entries) e (name text) where e.name = s.name
      )
    returning s.id
  loop
    perform platform.schedule_drop_held(known);
  end loop;
end
$$;

-- The host's: what services and operators do to a schedule, `service` null for operators. Each
-- returns false when there is no such schedule.
create function platform.schedule_set_paused(
  service text, schedule_id uuid, paused boolean, by text, reason text
) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  update platform.schedule s
  set paused_at = case when schedule_set_paused.paused then coalesce(s.paused_at, now()) end,
    paused_by = case when schedule_set_paused.paused then left(schedule_set_paused.by, 255) end,
    paused_reason =
      case when schedule_set_paused.paused then left(schedule_set_paused.reason, 1000) end,
    -- What falls into a pause is not made up for: it goes on from the moment of resuming.
    recompute = s.recompute or (s.paused_at is not null and not schedule_set_paused.paused),
    updated_at = case
      when s.paused_at is not null and not schedule_set_paused.paused then now()
      else s.updated_at end
  where s.id = schedule_set_paused.schedule_id and s.removed_at is null
    and (schedule_set_paused.service is null or s.service = schedule_set_paused.service);
  return found;
end
$$;

-- Fires once, now, paused or not. Returns the run's id.
create function platform.schedule_run_by_hand(
  service text, schedule_id uuid, run_id uuid, fired_at timestamptz, overlap text, by text
) returns uuid
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  schedule platform.schedule := platform.schedule_lock(schedule_run_by_hand.schedule_id);
begin
  if schedule.id is null
    or schedule_run_by_hand.service is not null and schedule.service <> schedule_run_by_hand.service
  then
    return null;
  end if;
  perform platform.schedule_settle(schedule);
  perform platform.schedule_admit(schedule, schedule_run_by_hand.run_id,
    schedule_run_by_hand.fired_at, schedule_run_by_hand.fired_at, 'manual',
    coalesce(schedule_run_by_hand.overlap, 'allow'), left(schedule_run_by_hand.by, 255));
  return schedule_run_by_hand.run_id;
end
$$;

-- The host's: works off one order to backfill with the instants that the calendar gives, or says
-- why it cannot. Returns the runs that were made.
create function platform.schedule_backfill_run(
  backfill_id uuid, fired_at timestamptz, instants timestamptz[], ids uuid[], refused text
) returns int
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  wanted platform.schedule_backfill;
  schedule platform.schedule;
  made int := 0;
begin
  select b.* into wanted from platform.schedule_backfill b
  where b.id = schedule_backfill_run.backfill_id and b.done_at is null for update skip locked;
  if not found then
    return null;
  end if;
  schedule := platform.schedule_lock(wanted.schedule_id);
  if schedule.id is not null and schedule_backfill_run.refused is null then
    perform platform.schedule_settle(schedule);
    for at in 1..coalesce(cardinality(instants), 0) loop
      perform platform.schedule_admit(schedule, ids[at], instants[at],
        schedule_backfill_run.fired_at, 'backfill', wanted.overlap, wanted.requested_by);
      made := made + 1;
    end loop;
  end if;
  update platform.schedule_backfill b
  set done_at = now(), fires = made, refused = left(case
    when schedule.id is null then 'the schedule was removed'
    else schedule_backfill_run.refused end, 1000)
  where b.id = wanted.id;
  return made;
end
$$;

-- From here on: what a service may do with schedules of its own.

-- Makes a schedule, or changes the one of this id. Definition: {expression, zone, gap, overlap,
-- catchup, catchup_window_ms, catchup_max, jitter_ms, starts_at, ends_at, anchor_at,
-- pause_on_failure, wall_ms, attempts_max}; target: {queue, topic, payload}, where the queue is one
-- that the service has made with queue_put. Whether the expression means something is for the
-- service to ask beforehand (nexus:schedules); otherwise schedule_list says why it is refused. The
-- host computes the next instant within a second.
create function platform.schedule_put(
  id uuid, tenant_id uuid, name text, definition jsonb, target jsonb
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  schedules_max constant int := 10000;
  payload_bytes_max constant int := 204800;
  caller_service text := platform.caller();
  unknown text;
begin
  select string_agg(key, ', ') into unknown from jsonb_object_keys(schedule_put.target) key
  where key not in ('queue', 'topic', 'payload');
  if unknown is not null then
    raise exception 'no such part of a target: %', unknown using errcode = '22023';
  end if;
  if octet_length((target -> 'payload')::text) > payload_bytes_max then
    raise exception 'a payload takes at most % bytes', payload_bytes_max using errcode = '54000';
  end if;
  perform platform.event_check(target ->> 'topic', null, null, null);
  if (select count(*) from platform.schedule s
      where s.service = caller_service and s.tenant_id is not distinct from schedule_put.tenant_id
        and s.removed_at is null and s.id <> schedule_put.id) >= schedules_max then
    raise exception 'at most % schedules', schedules_max using errcode = '54000';
  end if;
  perform platform.schedule_define(caller_service, 'api', schedule_put.id, schedule_put.tenant_id,
    schedule_put.name, schedule_put.definition, platform.queue_own(target ->> 'queue'),
    target ->> 'topic', target -> 'payload');
end
$$;
grant execute on function platform.schedule_put(uuid, uuid, text, jsonb, jsonb) to public;

-- No fires until it is resumed. P0002 when there is no such schedule, here and below.
create function platform.schedule_pause(id uuid, by text, reason text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not platform.schedule_set_paused(
    platform.caller(), schedule_pause.id, true, schedule_pause.by, schedule_pause.reason) then
    raise exception 'no schedule %', schedule_pause.id using errcode = 'P0002';
  end if;
end
$$;
grant execute on function platform.schedule_pause(uuid, text, text) to public;

create function platform.schedule_resume(id uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not platform.schedule_set_paused(
    platform.caller(), schedule_resume.id, false, null, null) then
    raise exception 'no schedule %', schedule_resume.id using errcode = 'P0002';
  end if;
end
$$;
grant execute on function platform.schedule_resume(uuid) to public;

-- Its runs under way go on; those held never start.
create function platform.schedule_remove(id uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  caller_service text := platform.caller();
begin
  update platform.schedule s set removed_at = now(), version = s.version + 1
  where s.id = schedule_remove.id and s.service = caller_service and s.source = 'api'
    and s.removed_at is null;
  if not found then
    raise exception 'no schedule %', schedule_remove.id using errcode = 'P0002';
  end if;
  perform platform.schedule_drop_held(schedule_remove.id);
end
$$;
grant execute on function platform.schedule_remove(uuid) to public;

-- Fires once, paused or not, and whatever else is running unless `overlap` says otherwise.
create function platform.schedule_run_now(id uuid, run_id uuid, overlap text, by text)
returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if platform.schedule_run_by_hand(platform.caller(), schedule_run_now.id, schedule_run_now.run_id,
    clock_timestamp(), schedule_run_now.overlap, schedule_run_now.by) is null then
    raise exception 'no schedule %', schedule_run_now.id using errcode = 'P0002';
  end if;
end
$$;
grant execute on function platform.schedule_run_now(uuid, uuid, text, text) to public;

-- Orders a run for every instant from `range_from` on and before `range_to`, at most 1000. Ask
-- nexus:schedules for a preview.
create function platform.schedule_backfill(
  id uuid, backfill_id uuid, range_from timestamptz, range_to timestamptz, overlap text, by text
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  caller_service text := platform.caller();
begin
  insert into platform.schedule_backfill (
    id, schedule_id, range_from, range_to, overlap, requested_by
  )
  select schedule_backfill.backfill_id, s.id, schedule_backfill.range_from,
    schedule_backfill.range_to, coalesce(schedule_backfill.overlap, 'buffer_all'),
    left(schedule_backfill.by, 255)
  from platform.schedule s
  where s.id = schedule_backfill.id and s.service = caller_service and s.removed_at is null;
  if not found then
    raise exception 'no schedule %', schedule_backfill.id using errcode = 'P0002';
  end if;
end
$$;
grant execute on function platform.schedule_backfill(
  uuid, uuid, timestamptz, timestamptz, text, text) to public;

-- The caller's schedules of a tenant, by name after `after_name`; null: those of no tenant, among
-- them its cron entries.
create function platform.schedule_list(tenant_id uuid, after_name text, rows_max int)
returns table (
  id uuid, name text, source text, expression text, zone text, gap text, overlap text,
  catchup text, catchup_window_ms bigint, catchup_max int, jitter_ms int, starts_at timestamptz,
  ends_at timestamptz, anchor_at timestamptz, pause_on_failure boolean, wall_ms bigint,
  attempts_max int, queue text, topic text, payload jsonb, paused_at timestamptz, paused_by text,
  paused_reason text, next_fire_at timestamptz, refused text, last_scheduled_at timestamptz,
  last_fired_at timestamptz, created_at timestamptz, updated_at timestamptz
)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  caller_service text := platform.caller();
begin
  return query
  select s.id, s.name, s.source, s.expression, s.zone, s.gap, s.overlap, s.catchup,
    s.catchup_window_ms, s.catchup_max, s.jitter_ms, s.starts_at, s.ends_at, s.anchor_at,
    s.pause_on_failure, s.wall_ms, s.attempts_max, q.name, s.topic, s.payload, s.paused_at,
    s.paused_by, s.paused_reason,
    case when s.paused_at is null and not s.recompute then s.next_fire_at end, s.refused,
    s.last_scheduled_at, s.last_fired_at, s.created_at, s.updated_at
  from platform.schedule s join platform.queue q on q.id = s.queue_id
  where s.service = caller_service and s.tenant_id is not distinct from schedule_list.tenant_id
    and s.removed_at is null
    and s.name > coalesce(schedule_list.after_name, '')
  order by s.name limit least(coalesce(schedule_list.rows_max, 100), 1000);
end
$$;
grant execute on function platform.schedule_list(uuid, text, int) to public;

-- The runs of one of the caller's schedules, latest first, those before `before` only.
create function platform.schedule_runs(id uuid, before timestamptz, rows_max int)
returns table (
  run_id uuid, scheduled_at timestamptz, fired_at timestamptz, trigger text, state text,
  reason text, requested_by text, fires bigint, attempt int, started_at timestamptz,
  finished_at timestamptz
)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  caller_service text := platform.caller();
begin
  return query
  select h.id, h.scheduled_at, h.fired_at, h.trigger, h.state, h.reason, h.requested_by, h.fires,
    h.attempt, h.started_at, h.finished_at
  from platform.schedule_history h
  where h.schedule_id = schedule_runs.id and h.service = caller_service
    and (schedule_runs.before is null or h.scheduled_at < schedule_runs.before)
  order by h.scheduled_at desc, h.id desc limit least(coalesce(schedule_runs.rows_max, 100), 1000);
end
$$;
grant execute on function platform.schedule_runs(uuid, timestamptz, int) to public;
