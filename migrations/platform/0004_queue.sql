-- The lease queue: events that are kept, and messages that are ready, deferred, leased, done or
-- dead. An event is written once; every subscription that wants it gets a narrow row in the same
-- transaction. Per queue, each of its messages is in exactly one of the five tables at any instant.
--
-- Dead rows are what ruins a queue in tables: every claim reads over those before it. So what is
-- written and deleted again lives in rings of slots: new rows go to the current slot, and a slot
-- whose rows are all gone is truncated, which no old snapshot can prevent. What is kept lives in
-- partitions of one day, which are dropped.
--
-- A message is named by its queue and its event's position; `number` is the fencing number, which
-- every claim raises and everything that a holder says about the message must carry.

-- Position in the store is order of writing, not of commit. Whoever writes an event reads
-- platform.queue first, and draws the position after that: see platform.queue_subscribe.
create sequence platform.event_position;

create table platform.event (
  day date not null,
  position bigint not null,
  id uuid not null,
  topic text not null,
  source text not null,
  subject text,
  tenant_id uuid,
  payload jsonb not null,
  trace text,
  published_at timestamptz not null,
  -- The one queue it was put into; null is a fact, for everybody who subscribes.
  queue_id int,
  primary key (position, day),
  unique (day, id)
) partition by range (day);
-- Only for days nobody prepared: publishing never fails for want of a partition.
create table platform.event_default partition of platform.event default;

create table platform.queue (
  id int generated always as identity primary key,
  service text not null,
  name text not null check (length(name) between 1 and 255),
  -- subscription: an entry of a component's `subscribe`, name and handler are the topic as written.
  -- schedule: a component's ticks. service: made by the service itself at run time.
  -- job: claimed by native workers over HTTP, never by the host.
  kind text not null check (kind in ('subscription', 'schedule', 'service', 'job')),
  -- Which of the service's functions is called.
  handler text not null check (length(handler) between 1 and 255),
  -- Topic or pattern of a subscription.
  topic text check ((topic is not null) = (kind = 'subscription')),
  is_pattern boolean generated always as (topic like '%*%') stored,
  -- Deliveries at once, over all hosts; null leaves it to each host.
  concurrency_max int check (concurrency_max between 1 and 100000),
  -- Messages per call, and how long a host may wait for a batch to fill.
  batch_max int not null default 1 check (batch_max between 1 and 100),
  batch_wait_ms int not null default 0 check (batch_wait_ms between 0 and 60000),
  -- Time for one delivery; past it the lease cannot be extended. A day, for transcoding.
  wall_ms bigint not null default 300000 check (wall_ms between 1 and 86400000),
  lease_ms int not null default 60000 check (lease_ms between 100 and 3600000),
  attempts_max int not null default 8 check (attempts_max between 1 and 1000),
  backoff_first_ms bigint not null default 5000
    check (backoff_first_ms between 0 and 86400000),
  backoff_max_ms bigint not null default 900000
    check (backoff_max_ms between 0 and 86400000),
  -- Ordering group of a subscription's messages: `subject`, or a path into the payload.
  ordered_by text check (length(ordered_by) between 1 and 255),
  -- Whether messages may carry a group; claims of such queues take turns.
  grouped boolean not null default false,
  created_at timestamptz not null default now(),
  paused_at timestamptz,
  paused_by text,
  retired_at timestamptz,
  -- Up to which position it has heard everything, when it was retired.
  retired_position bigint,
  unique (service, name),
  check (ordered_by is null or grouped)
);
create index queue_topic on platform.queue (topic)
  where retired_at is null and kind = 'subscription' and not is_pattern;
create index queue_pattern on platform.queue (id)
  where retired_at is null and kind = 'subscription' and is_pattern;

-- A publisher whose transaction has one snapshot from before a subscription was made would not see
-- it. Such a one locks this row, and fails with 40001 when it has changed since.
create table platform.queue_epoch (
  single boolean primary key default true check (single),
  number bigint not null default 0
);
insert into platform.queue_epoch default values;

-- Registers without versions, read and written outside of any snapshot: the slots that take new
-- rows, and the due time (in milliseconds) below which no deferred message waits.
create sequence platform.queue_ready_slot minvalue 1 maxvalue 8;
create sequence platform.queue_lease_slot minvalue 1 maxvalue 8;
create sequence platform.queue_deferred_low minvalue 0;
select setval('platform.queue_ready_slot', 1), setval('platform.queue_lease_slot', 1),
  setval('platform.queue_deferred_low', 0);

create table platform.queue_ready (
  slot smallint not null,
  priority smallint not null,
  queue_id int not null,
  position bigint not null,
  day date not null,
  -- Deliveries counted so far, and the fencing number of the last one.
  attempt int not null,
  number int not null,
  ready_at timestamptz not null,
  group_key text collate "C",
  -- [{at, attempt, reason, worker}] of earlier attempts.
  errors jsonb
) partition by list (slot);
create index queue_ready_order on platform.queue_ready (queue_id, priority desc, position)
  where group_key is null;
create index queue_ready_group on platform.queue_ready (queue_id, group_key, position)
  where group_key is not null;

create table platform.queue_lease (
  slot smallint not null,
  priority smallint not null,
  queue_id int not null,
  position bigint not null,
  day date not null,
  attempt int not null,
  number int not null,
  ready_at timestamptz not null,
  claimed_at timestamptz not null,
  expires_at timestamptz not null,
  deadline timestamptz not null,
  worker text not null,
  group_key text collate "C",
  errors jsonb
) partition by list (slot);
create index queue_lease_message on platform.queue_lease (queue_id, position);
create index queue_lease_group on platform.queue_lease (queue_id, group_key)
  where group_key is not null;

-- Slot 0 takes what the others cannot get rid of: the backlog of a paused or slow queue.
-- Statistics of tables that are empty most of the time would only mislead the planner.
do $$
declare
  settings constant text := 'autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = '
    '20000, autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_threshold = 2000000000, '
    'autovacuum_vacuum_cost_delay = 0';
begin
  for slot in 0..8 loop
    execute format('create table platform.queue_ready_%s partition of platform.queue_ready '
      'for values in (%s) with (%s)', slot, slot, settings);
    continue when slot = 0;
    execute format('create table platform.queue_lease_%s partition of platform.queue_lease '
      'for values in (%s) with (%s)', slot, slot, settings);
  end loop;
end
$$;

create table platform.queue_deferred (
  due_at timestamptz not null,
  queue_id int not null,
  position bigint not null,
  day date not null,
  attempt int not null,
  number int not null,
  priority smallint not null,
  -- It was claimed before: those of its group wait for it.
  blocks boolean not null,
  group_key text collate "C",
  errors jsonb,
  primary key (queue_id, position)
) with (
  autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_cost_delay = 0
);
create index queue_deferred_due_at on platform.queue_deferred (due_at);
create index queue_deferred_group on platform.queue_deferred (queue_id, group_key)
  where blocks and group_key is not null;

create table platform.queue_done (
  day date not null,
  queue_id int not null,
  position bigint not null,
  attempt int not null,
  number int not null default 0,
  -- acked: by its consumer. purged: by an operator.
  outcome text not null,
  finished_at timestamptz not null
) partition by range (day);
create table platform.queue_done_default partition of platform.queue_done default;
create index queue_done_message on platform.queue_done (queue_id, position);

-- Keeps a full copy: it outlives the event's partition.
create table platform.queue_dead (
  queue_id int not null,
  position bigint not null,
  day date not null,
  id uuid not null,
  topic text not null,
  source text not null,
  subject text,
  tenant_id uuid,
  payload jsonb not null,
  trace text,
  published_at timestamptz not null,
  -- The event's own, for a copy in the store.
  event_queue_id int,
  priority smallint not null,
  attempt int not null,
  number int not null,
  group_key text collate "C",
  errors jsonb not null,
  reason text not null,
  died_at timestamptz not null,
  primary key (queue_id, position)
);
create index queue_dead_id on platform.queue_dead (id);
create index queue_dead_died_at on platform.queue_dead (died_at);

-- Keys within their window; queue 0 stands for publishing.
create table platform.queue_dedup (
  queue_id int not null,
  key text not null check (length(key) between 1 and 600),
  id uuid not null,
  created_at timestamptz not null default now(),
  primary key (queue_id, key)
);
create index queue_dedup_created_at on platform.queue_dedup (created_at);

-- Stretches of the event store that a queue has still to hear.
create table platform.queue_replay (
  id bigint generated always as identity primary key,
  queue_id int not null references platform.queue on delete cascade,
  -- Events after this position, up to and with that one.
  after_position bigint not null,
  end_position bigint not null,
  -- False where none of them can be in the queue already.
  checked boolean not null
);

-- `*` is any one segment; `**` at the end is any rest of at least one; `*` alone is everything.
-- The host has a twin of this in Rust.
create function platform.topic_matches(pattern text, topic text) returns boolean
language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  wanted text[];
  found_segments text[];
begin
  if pattern = '*' then
    return true;
  end if;
  wanted := string_to_array(pattern, '.');
  found_segments := string_to_array(topic, '.');
  for i in 1..cardinality(wanted) loop
    if wanted[i] = '**' and i = cardinality(wanted) then
      return cardinality(found_segments) >= i;
    end if;
    if i > cardinality(found_segments)
      or not (wanted[i] = '*' or wanted[i] = found_segments[i]) then
      return false;
    end if;
  end loop;
  return cardinality(wanted) = cardinality(found_segments);
end
$$;

-- Refuses what is no event.
create function platform.event_check(topic text, subject text, payload jsonb, trace text)
returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  -- Every subscriber is handed the whole payload; what is larger belongs into an object store.
  payload_bytes_max constant int := 262144;
begin
  if event_check.topic is null or length(event_check.topic) > 200
    or event_check.topic !~ '^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){2}\.v[1-9][0-9]*$' then
    raise exception 'topic % is not context.entity.past_tense.vN', event_check.topic
      using errcode = '22023';
  end if;
  if octet_length(event_check.payload::text) > payload_bytes_max then
    raise exception 'a payload takes at most % bytes', payload_bytes_max using errcode = '54000';
  end if;
  if length(event_check.subject) > 255 or length(event_check.trace) > 255 then
    raise exception 'subject and trace take at most 255 characters' using errcode = '22001';
  end if;
end
$$;

-- Reads the options of publish_with and enqueue: delay_ms or run_at (an instant) or run_at_ms
-- (since 1970), priority, group, dedup_key.
create function platform.queue_options(
  options jsonb, out due_at timestamptz, out priority smallint, out group_key text,
  out dedup_key text
)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  unknown text;
begin
  select string_agg(key, ', ') into unknown from jsonb_object_keys(coalesce(options, '{}')) key
  where key not in ('delay_ms', 'run_at', 'run_at_ms', 'priority', 'group', 'dedup_key');
  if unknown is not null then
    raise exception 'no such option: %', unknown using errcode = '22023';
  end if;
  due_at := coalesce(
    (options ->> 'run_at')::timestamptz,
    to_timestamp((options ->> 'run_at_ms')::numeric / 1000.0),
    clock_timestamp() + make_interval(secs => (options ->> 'delay_ms')::numeric / 1000.0)
  );
  if due_at > now() + interval '30 days 1 hour' then
    raise exception 'a message waits at most 30 days' using errcode = '22023';
  end if;
  if due_at <= clock_timestamp() then
    due_at := null;
  end if;
  priority := coalesce((options ->> 'priority')::smallint, 0);
  -- Longer keys may fall together, which only makes more wait for each other.
  group_key := left(nullif(options ->> 'group', ''), 255);
  dedup_key := nullif(options ->> 'dedup_key', '');
  if length(dedup_key) > 255 then
    raise exception 'a dedup_key takes at most 255 characters' using errcode = '22023';
  end if;
end
$$;

-- The id under which a key is known: of the first who came with it within 24 hours. A second one
-- waits until the first has committed.
create function platform.queue_dedup(queue_id int, key text, id uuid) returns uuid
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  first_id uuid;
begin
  insert into platform.queue_dedup as d (queue_id, key, id)
  values (queue_dedup.queue_id, queue_dedup.key, queue_dedup.id)
  on conflict on constraint queue_dedup_pkey do update
    set id = excluded.id, created_at = now()
    where d.created_at <= now() - interval '24 hours'
  returning d.id into first_id;
  if not found then
    select d.id into first_id from platform.queue_dedup d
    where d.queue_id = queue_dedup.queue_id and d.key = queue_dedup.key;
  end if;
  return coalesce(first_id, queue_dedup.id);
end
$$;

-- The group of an event in a queue.
create function platform.queue_group(
  ordered_by text, grouped boolean, subject text, payload jsonb, given text
) returns text
language sql immutable set search_path = pg_catalog, pg_temp
return left(nullif(
  case
    when ordered_by = 'subject' then subject
    when ordered_by is not null then payload #>> string_to_array(ordered_by, '.')
    when grouped then given
  end, ''), 255);

-- Writes a fact and hands it to every subscription that wants it. Costs a subscription one row.
create function platform.event_publish(
  topic text, id uuid, source text, subject text, tenant_id uuid, payload jsonb, trace text,
  due_at timestamptz, priority smallint, group_key text
) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  queues int[];
  groups text[];
  event_position bigint;
  event_day constant date := (now() at time zone 'UTC')::date;
begin
  perform platform.event_check(
    event_publish.topic, event_publish.subject, event_publish.payload, event_publish.trace);
  -- With one snapshot for the whole transaction, a subscription made since would be missed.
  if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
    perform from platform.queue_epoch for share;
  end if;
  -- First the subscriptions, which whoever changes them locks; then the position.
  select array_agg(q.id), array_agg(platform.queue_group(q.ordered_by, q.grouped,
    event_publish.subject, event_publish.payload, event_publish.group_key))
  into queues, groups
  from (
    select e.id, e.ordered_by, e.grouped from platform.queue e
    where e.topic = event_publish.topic
      and e.retired_at is null and e.kind = 'subscription' and not e.is_pattern
    union all
    select p.id, p.ordered_by, p.grouped from platform.queue p
    where p.retired_at is null and p.kind = 'subscription' and p.is_pattern
      and platform.topic_matches(p.topic, event_publish.topic)
  ) q;
  event_position := nextval('platform.event_position');
  insert into platform.event (
    day, position, id, topic, source, subject, tenant_id, payload, trace, published_at
  ) values (
    event_day, event_position, event_publish.id, event_publish.topic, event_publish.source,
    event_publish.subject, event_publish.tenant_id, event_publish.payload, event_publish.trace,
    now()
  );
  if queues is null then
    return;
  end if;
  if event_publish.due_at is not null then
    insert into platform.queue_deferred (
      due_at, queue_id, position, day, attempt, number, priority, blocks, group_key
    )
    select event_publish.due_at, u.queue_id, event_position, event_day, 0, 0,
      event_publish.priority, false, u.group_key
    from unnest(queues, groups) u (queue_id, group_key);
  else
    insert into platform.queue_ready (
      slot, priority, queue_id, position, day, attempt, number, ready_at, group_key
    )
    select s.last_value, event_publish.priority, u.queue_id, event_position, event_day, 0, 0,
      now(), u.group_key
    from unnest(queues, groups) u (queue_id, group_key), platform.queue_ready_slot s;
  end if;
end
$$;

create or replace function platform.publish(
  topic text, id uuid, subject text, tenant_id uuid, payload jsonb, trace text
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- Who calls is asked first: whoever is no service learns nothing about topics and sizes.
  perform platform.event_publish(publish.topic, publish.id, platform.caller(), publish.subject,
    publish.tenant_id, publish.payload, publish.trace, null, 0::smallint, null);
end
$$;

-- As publish, with options {delay_ms or run_at, priority, group, dedup_key}. Returns the event's
-- id: with a dedup_key, that of the first event the service has told under topic and key within
-- 24 hours, and only that one is told. The group counts for queues that are grouped and have no
-- ordered_by of their own.
create function platform.publish_with(
  topic text, id uuid, subject text, tenant_id uuid, payload jsonb, trace text, options jsonb
) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  source text := platform.caller();
  wanted record;
  first_id uuid;
begin
  wanted := platform.queue_options(publish_with.options);
  if wanted.dedup_key is not null then
    perform platform.event_check(publish_with.topic, null, null, null);
    first_id := platform.queue_dedup(
      0, source || '/' || publish_with.topic || '/' || wanted.dedup_key, publish_with.id);
    if first_id <> publish_with.id then
      return first_id;
    end if;
  end if;
  perform platform.event_publish(publish_with.topic, publish_with.id, source,
    publish_with.subject, publish_with.tenant_id, publish_with.payload, publish_with.trace,
    wanted.due_at, wanted.priority, wanted.group_key);
  return publish_with.id;
end
$$;
grant execute on function
  platform.publish_with(text, uuid, text, uuid, jsonb, text, jsonb) to public;

-- The host's: puts one message into one queue, and its event into the store, where no subscription
-- hears it. Returns the id of the first within the window of its dedup_key.
create function platform.queue_insert(
  queue_id int, source text, id uuid, topic text, subject text, tenant_id uuid, payload jsonb,
  trace text, options jsonb
) returns uuid
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  wanted record;
  queue record;
  first_id uuid;
  event_position bigint;
  event_day constant date := (now() at time zone 'UTC')::date;
begin
  perform platform.event_check(
    queue_insert.topic, queue_insert.subject, queue_insert.payload, queue_insert.trace);
  wanted := platform.queue_options(queue_insert.options);
  select q.ordered_by, q.grouped into queue from platform.queue q
  where q.id = queue_insert.queue_id;
  if not found then
    raise exception 'no queue %', queue_insert.queue_id using errcode = '22023';
  end if;
  if wanted.group_key is not null and not queue.grouped then
    raise exception 'queue % is not grouped', queue_insert.queue_id using errcode = '22023';
  end if;
  if wanted.dedup_key is not null then
    first_id := platform.queue_dedup(queue_insert.queue_id, wanted.dedup_key, queue_insert.id);
    if first_id <> queue_insert.id then
      return first_id;
    end if;
  end if;
  wanted.group_key := platform.queue_group(queue.ordered_by, queue.grouped, queue_insert.subject,
    queue_insert.payload, wanted.group_key);
  event_position := nextval('platform.event_position');
  insert into platform.event (
    day, position, id, topic, source, subject, tenant_id, payload, trace, published_at, queue_id
  ) values (
    event_day, event_position, queue_insert.id, queue_insert.topic, queue_insert.source,
    queue_insert.subject, queue_insert.tenant_id, queue_insert.payload, queue_insert.trace, now(),
    queue_insert.queue_id
  );
  if wanted.due_at is not null then
    insert into platform.queue_deferred (
      due_at, queue_id, position, day, attempt, number, priority, blocks, group_key
    ) values (
      wanted.due_at, queue_insert.queue_id, event_position, event_day, 0, 0, wanted.priority,
      false, wanted.group_key
    );
  else
    insert into platform.queue_ready (
      slot, priority, queue_id, position, day, attempt, number, ready_at, group_key
    )
    select s.last_value, wanted.priority, queue_insert.queue_id, event_position, event_day, 0, 0,
      now(), wanted.group_key
    from platform.queue_ready_slot s;
  end if;
  return queue_insert.id;
end
$$;

-- A queue of the caller's own, by name.
create function platform.queue_own(name text) returns int
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  found_id int;
begin
  select q.id into found_id from platform.queue q
  where q.service = platform.caller() and q.name = queue_own.name and q.kind = 'service';
  if found_id is null then
    raise exception 'no queue of its own is called %', queue_own.name using errcode = 'P0002';
  end if;
  return found_id;
end
$$;

-- Puts a message into a queue of the caller's own, which queue_put has made. Options as for
-- publish_with; returns the id of the first within the window of its dedup_key.
create function platform.enqueue(
  queue text, id uuid, topic text, subject text, tenant_id uuid, payload jsonb, trace text,
  options jsonb
) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  source text := platform.caller();
begin
  return platform.queue_insert(platform.queue_own(enqueue.queue), source, enqueue.id,
    enqueue.topic, enqueue.subject, enqueue.tenant_id, enqueue.payload, enqueue.trace,
    enqueue.options);
end
$$;
grant execute on function
  platform.enqueue(text, uuid, text, text, uuid, jsonb, text, jsonb) to public;

-- The host's: makes a queue or changes its settings; what the settings do not name falls back to
-- its default. Not for subscriptions.
create function platform.queue_ensure(
  service text, name text, kind text, handler text, settings jsonb
) returns int
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  made_id int;
begin
  insert into platform.queue as q (service, name, kind, handler)
  values (queue_ensure.service, queue_ensure.name, queue_ensure.kind, queue_ensure.handler)
  on conflict on constraint queue_service_name_key do update
    set handler = excluded.handler, retired_at = null
    where q.kind = excluded.kind
  returning q.id into made_id;
  if not found then
    raise exception 'queue % of % is of another kind', queue_ensure.name, queue_ensure.service
      using errcode = '42710';
  end if;
  perform platform.queue_set(made_id, queue_ensure.settings);
  return made_id;
end
$$;

-- Settings by name: concurrency_max, batch_max, batch_wait_ms, wall_ms, lease_ms, attempts_max,
-- backoff_first_ms, backoff_max_ms, ordered_by, grouped. Writes only where something changes.
create function platform.queue_set(queue_id int, settings jsonb) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  unknown text;
  s record;
begin
  select string_agg(key, ', ') into unknown from jsonb_object_keys(coalesce(settings, '{}')) key
  where key not in ('concurrency_max', 'batch_max', 'batch_wait_ms', 'wall_ms', 'lease_ms',
    'attempts_max', 'backoff_first_ms', 'backoff_max_ms', 'ordered_by', 'grouped');
  if unknown is not null then
    raise exception 'no such setting of a queue: %', unknown using errcode = '22023';
  end if;
  select
    (settings ->> 'concurrency_max')::int as concurrency_max,
    coalesce((settings ->> 'batch_max')::int, 1) as batch_max,
    coalesce((settings ->> 'batch_wait_ms')::int, 0) as batch_wait_ms,
    coalesce((settings ->> 'wall_ms')::bigint, 300000) as wall_ms,
    coalesce((settings ->> 'lease_ms')::int, 60000) as lease_ms,
    coalesce((settings ->> 'attempts_max')::int, 8) as attempts_max,
    coalesce((settings ->> 'backoff_first_ms')::bigint, 5000) as backoff_first_ms,
    coalesce((settings ->> 'backoff_max_ms')::bigint, 900000) as backoff_max_ms,
    settings ->> 'ordered_by' as ordered_by,
    settings ->> 'ordered_by' is not null
      or coalesce((settings ->> 'grouped')::boolean, false) as grouped
  into s;
  update platform.queue q
  set concurrency_max = s.concurrency_max, batch_max = s.batch_max,
    batch_wait_ms = s.batch_wait_ms, wall_ms = s.wall_ms, lease_ms = s.lease_ms,
    attempts_max = s.attempts_max, backoff_first_ms = s.backoff_first_ms,
    backoff_max_ms = s.backoff_max_ms, ordered_by = s.ordered_by,
    -- Messages that carry a group are found by it: what was grouped stays so.
    grouped = s.grouped or q.grouped
  where q.id = queue_set.queue_id
    and (q.concurrency_max, q.batch_max, q.batch_wait_ms, q.wall_ms, q.lease_ms, q.attempts_max,
      q.backoff_first_ms, q.backoff_max_ms, q.ordered_by, q.grouped)
    is distinct from (s.concurrency_max, s.batch_max, s.batch_wait_ms, s.wall_ms, s.lease_ms,
      s.attempts_max, s.backoff_first_ms, s.backoff_max_ms, s.ordered_by, s.grouped or q.grouped);
end
$$;

-- Makes a queue of the caller's own or changes its settings; `handler` names which of its
-- functions for events is called.
create function platform.queue_put(name text, handler text, settings jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  queues_max constant int := 1000;
  caller_service text := platform.caller();
begin
  if (select count(*) from platform.queue q
      where q.service = caller_service and q.name <> queue_put.name) >= queues_max then
    raise exception 'a service has at most % queues', queues_max using errcode = '54000';
  end if;
  perform platform.queue_ensure(
    caller_service, queue_put.name, 'service', queue_put.handler, queue_put.settings);
end
$$;
grant execute on function platform.queue_put(text, text, jsonb) to public;

-- The host's: makes a service's subscriptions those of `wanted`, [{topic, from, settings}], and
-- retires the others, which keep their messages. Whoever writes an event reads platform.queue
-- before it draws a position and holds that lock until it ends. So under a conflicting lock no
-- transaction is between the two: every event up to the last position is either visible or was
-- undone, and every later one will find the new subscription. Waits a moment only, for publishers
-- queue up behind it; 55P03 says to try again.
create function platform.queue_subscribe(service text, wanted jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp set lock_timeout = '100ms' as $$
declare
  line record;
  made_id int;
  heard_position bigint;
  last_position bigint;
begin
  if exists (
    select from jsonb_array_elements(queue_subscribe.wanted) w
    where not exists (
      select from platform.queue q
      where q.service = queue_subscribe.service and q.name = w ->> 'topic'
        and q.kind = 'subscription' and q.retired_at is null
    )
  ) then
    lock table platform.queue in access exclusive mode;
    update platform.queue_epoch set number = number + 1;
  end if;
  select case when is_called then last_value else 0 end into last_position
  from platform.event_position;
  for line in
    select w ->> 'topic' as topic, coalesce(w ->> 'from', 'now') as since,
      coalesce(w -> 'settings', '{}') as settings
    from jsonb_array_elements(queue_subscribe.wanted) w
  loop
    if line.topic !~ '^(\*|([a-z][a-z0-9_]*|\*)(\.([a-z][a-z0-9_]*|\*))*(\.\*\*)?)$' then
      raise exception '% is neither a topic nor a pattern', line.topic using errcode = '22023';
    end if;
    if line.since not in ('now', 'earliest') then
      raise exception 'a subscription starts at now or earliest, not %', line.since
        using errcode = '22023';
    end if;
    select q.id, q.retired_position into made_id, heard_position from platform.queue q
    where q.service = queue_subscribe.service and q.name = line.topic and q.retired_at is null;
    if not found then
      -- What was retired comes back where it had stopped, if it wants everything.
      select q.retired_position into heard_position from platform.queue q
      where q.service = queue_subscribe.service and q.name = line.topic;
      insert into platform.queue as q (service, name, kind, handler, topic)
      values (queue_subscribe.service, line.topic, 'subscription', line.topic, line.topic)
      on conflict on constraint queue_service_name_key do update
        set retired_at = null, retired_position = null
      returning q.id into made_id;
      if line.since = 'earliest' and last_position > coalesce(heard_position, 0) then
        insert into platform.queue_replay (queue_id, after_position, end_position, checked)
        values (
          made_id, coalesce(heard_position, 0), last_position, heard_position is not null);
      end if;
    end if;
    perform platform.queue_set(made_id, line.settings);
  end loop;
  update platform.queue q set retired_at = now(), retired_position = last_position
  where q.service = queue_subscribe.service and q.kind = 'subscription' and q.retired_at is null
    and not exists (
      select from jsonb_array_elements(queue_subscribe.wanted) w where w ->> 'topic' = q.name
    );
end
$$;

-- The host's: hands a queue what the store has since an instant (null: since ever). What the queue
-- has done already is done again; what is on its way or dead stays what it is.
create function platform.queue_replay(queue_id int, since timestamptz) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  last_position bigint;
  first_position bigint;
begin
  perform from platform.queue q where q.id = queue_replay.queue_id and q.kind = 'subscription';
  if not found then
    raise exception 'queue % is no subscription', queue_replay.queue_id using errcode = '22023';
  end if;
  select case when is_called then last_value else 0 end into last_position
  from platform.event_position;
  select min(e.position) into first_position from platform.event e
  where queue_replay.since is null
    or e.day >= (queue_replay.since at time zone 'UTC')::date
    and e.published_at >= queue_replay.since;
  if first_position is not null then
    insert into platform.queue_replay (queue_id, after_position, end_position, checked)
    values (queue_replay.queue_id, first_position - 1, last_position, true);
  end if;
end
$$;

-- The host's: works on one stretch to replay, a bounded piece of it. Returns how many messages were
-- made, or null when there is nothing to replay that nobody else is at.
create function platform.queue_replay_step(events_max int) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  stretch record;
  first_position bigint;
  last_position bigint;
  made bigint;
begin
  select r.*, q.topic, q.ordered_by, q.grouped, q.service, q.name into stretch
  from platform.queue_replay r join platform.queue q on q.id = r.queue_id
  order by r.id limit 1 for update of r skip locked;
  if not found then
    return null;
  end if;
  select min(e.position) into first_position from platform.event e
  where e.position > stretch.after_position and e.position <= stretch.end_position;
  last_position := least(first_position + events_max - 1, stretch.end_position);
  -- One statement, one snapshot: in it, a message is in exactly one state.
  with heard as materialized (
    select e.position, e.day, e.id,
      platform.queue_group(stretch.ordered_by, stretch.grouped, e.subject, e.payload, null)
        as group_key
    from platform.event e
    where e.position between first_position and last_position and e.queue_id is null
      and platform.topic_matches(stretch.topic, e.topic)
  ), again as (
    delete from platform.queue_done d using heard h
    where stretch.checked and d.queue_id = stretch.queue_id and d.position = h.position
    returning d.position, d.number
  ), wanted as materialized (
    select h.* from heard h where not stretch.checked or not (
      exists (select from platform.queue_ready r
        where r.queue_id = stretch.queue_id and r.position = h.position)
      or exists (select from platform.queue_deferred r
        where r.queue_id = stretch.queue_id and r.position = h.position)
      or exists (select from platform.queue_lease r
        where r.queue_id = stretch.queue_id and r.position = h.position)
      or exists (select from platform.queue_dead r
        where r.queue_id = stretch.queue_id and r.position = h.position)
    )
  ), forgotten as (
    -- Otherwise the consumer would take them for second deliveries.
    delete from platform.inbox i using wanted w
    where stretch.checked and i.service = stretch.service and i.consumer = stretch.name
      and i.event_id = w.id
  )
  insert into platform.queue_ready (
    slot, priority, queue_id, position, day, attempt, number, ready_at, group_key
  )
  select s.last_value, 0, stretch.queue_id, w.position, w.day, 0, coalesce(a.number, 0), now(),
    w.group_key
  from platform.queue_ready_slot s, wanted w left join again a on a.position = w.position;
  get diagnostics made = row_count;
  if last_position is null or last_position >= stretch.end_position then
    delete from platform.queue_replay r where r.id = stretch.id;
  else
    update platform.queue_replay r set after_position = last_position where r.id = stretch.id;
  end if;
  return made;
end
$$;

-- The host's: claims for each queue at most so many ready messages, highest priority first, then in
-- order of writing. For queues without groups and without a bound over all hosts.
create function platform.queue_claim(queues int[], mosts int[], worker text, lease_ms bigint)
returns table (
  queue_id int, "position" bigint, number int, attempt int, priority smallint, group_key text,
  claimed_at timestamptz, expires_at timestamptz, deadline timestamptz, ready_at timestamptz,
  id uuid, topic text, source text, subject text, tenant_id uuid, payload text, trace text,
  published_at timestamptz
)
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off
set enable_mergejoin = off set jit = off as $$
#variable_conflict use_column
begin
  return query
  with wanted as materialized (
    select q.id, w.most, q.wall_ms, coalesce(queue_claim.lease_ms, q.lease_ms) as lease_ms
    from unnest(queue_claim.queues, queue_claim.mosts) w (id, most)
    join platform.queue q on q.id = w.id
    where q.paused_at is null and w.most > 0
  ), picked as materialized (
    select r.slot, r.queue_id, r.priority, r.position, w.wall_ms, w.lease_ms
    from wanted w cross join lateral (
      select f.slot, f.queue_id, f.priority, f.position from platform.queue_ready f
      where f.queue_id = w.id and f.group_key is null
      order by f.priority desc, f.position
      limit w.most for update skip locked
    ) r
  ), gone as (
    delete from platform.queue_ready r using picked p
    where r.slot = p.slot and r.queue_id = p.queue_id and r.priority = p.priority
      and r.position = p.position and r.group_key is null
    returning r.priority, r.queue_id, r.position, r.day, r.attempt, r.number, r.ready_at,
      r.group_key, r.errors, p.wall_ms, p.lease_ms, clock_timestamp() as at
  ), leased as (
    insert into platform.queue_lease as l (
      slot, priority, queue_id, position, day, attempt, number, ready_at, claimed_at, expires_at,
      deadline, worker, group_key, errors
    )
    select s.last_value, g.priority, g.queue_id, g.position, g.day, g.attempt + 1, g.number + 1,
      g.ready_at, g.at, g.at + make_interval(secs => g.lease_ms / 1000.0),
      g.at + make_interval(secs => g.wall_ms / 1000.0), queue_claim.worker, g.group_key, g.errors
    from gone g, platform.queue_lease_slot s
    returning l.*
  )
  select l.queue_id, l.position, l.number, l.attempt, l.priority, l.group_key::text, l.claimed_at,
    l.expires_at, l.deadline, l.ready_at, e.id, e.topic, e.source, e.subject, e.tenant_id,
    e.payload::text, e.trace, e.published_at
  from leased l join platform.event e on e.position = l.position and e.day = l.day;
end
$$;

-- The host's: those of the queues that have something ready, so that claims which take turns are
-- made only there.
create function platform.queue_waiting(queues int[]) returns setof int
language plpgsql stable set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set jit = off as $$
begin
  return query
  select w.id from unnest(queues) w (id)
  where exists (
      select from platform.queue_ready r where r.queue_id = w.id and r.group_key is null)
    or exists (
      select from platform.queue_ready r where r.queue_id = w.id and r.group_key is not null);
end
$$;

-- As queue_claim, for one queue whose claims take turns: it has groups, or a bound over all hosts.
-- Per group the oldest message only, and none while one of the group is leased or waits to be
-- tried again. The groups are gone through in a circle after `after_group`; the last group looked
-- at comes back in `cursor`, in a row without a position where nothing was found.
create function platform.queue_claim_in_turn(
  queue int, most int, worker text, lease_ms bigint, after_group text
)
returns table (
  queue_id int, "position" bigint, number int, attempt int, priority smallint, group_key text,
  claimed_at timestamptz, expires_at timestamptz, deadline timestamptz, ready_at timestamptz,
  id uuid, topic text, source text, subject text, tenant_id uuid, payload text, trace text,
  published_at timestamptz, cursor text
)
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off
set enable_mergejoin = off set jit = off as $$
#variable_conflict use_column
declare
  groups_max constant int := 1000;
  settings record;
  free int;
  -- Messages at the head of their groups, and those without a group.
  heads bigint[] := '{}';
  head_groups text[] := '{}';
  loose_most int := 0;
  looked_at text := queue_claim_in_turn.after_group;
  pass record;
  entry record;
begin
  -- A statement of its own: what comes next sees all that the one before has done.
  select q.grouped, q.concurrency_max * q.batch_max as leases_max, q.wall_ms,
    coalesce(queue_claim_in_turn.lease_ms, q.lease_ms) as lease_ms
  into settings
  from platform.queue q
  where q.id = queue_claim_in_turn.queue and q.paused_at is null
  for no key update;
  if not found then
    return;
  end if;
  free := queue_claim_in_turn.most;
  if settings.leases_max is not null then
    free := least(free, settings.leases_max - (
      select count(*) from platform.queue_lease l where l.queue_id = queue_claim_in_turn.queue));
  end if;
  if free <= 0 then
    return;
  end if;
  if settings.grouped then
    -- Half of the time, those without a group get their half of the places first.
    if random() < 0.5 then
      select count(*) into loose_most from (
        select from platform.queue_ready r
        where r.queue_id = queue_claim_in_turn.queue and r.group_key is null
        order by r.priority desc, r.position limit (free + 1) / 2
      ) l;
    end if;
    -- Head and obstacles in one statement: between two, a message could pass from one to the other.
    for pass in
      select * from (values (1, looked_at, null), (2, '', looked_at)) p (n, above, up_to)
      where p.n = 1 or looked_at <> ''
    loop
      for entry in
        with recursive ring as (
          (select r.group_key, 1 as step from platform.queue_ready r
           where r.queue_id = queue_claim_in_turn.queue and r.group_key > pass.above
             and r.group_key is not null
           order by r.group_key limit 1)
          union all
          select (
            select r.group_key from platform.queue_ready r
            where r.queue_id = queue_claim_in_turn.queue and r.group_key > ring.group_key
              and r.group_key is not null
            order by r.group_key limit 1
          ), ring.step + 1
          from ring where ring.group_key is not null and ring.step < groups_max
        )
        select g.group_key, head.position,
          exists (
            select from platform.queue_lease l
            where l.queue_id = queue_claim_in_turn.queue and l.group_key = g.group_key
          ) or exists (
            select from platform.queue_deferred d
            where d.queue_id = queue_claim_in_turn.queue and d.group_key = g.group_key
              and d.blocks
          ) as is_blocked
        from ring g cross join lateral (
          select h.position from platform.queue_ready h
          where h.queue_id = queue_claim_in_turn.queue and h.group_key = g.group_key
          order by h.position limit 1
        ) head
        where g.group_key is not null
      loop
        exit when cardinality(heads) >= free - loose_most or entry.group_key > pass.up_to;
        looked_at := entry.group_key;
        if not entry.is_blocked then
          heads := heads || entry.position;
          head_groups := head_groups || entry.group_key::text;
        end if;
      end loop;
    end loop;
  end if;
  -- What is gone when it is to be deleted has moved to another slot, for the next claim.
  return query
  with loose as materialized (
    select r.slot, r.priority, r.position from platform.queue_ready r
    where r.queue_id = queue_claim_in_turn.queue and r.group_key is null
    order by r.priority desc, r.position limit free - cardinality(heads)
  ), gone_loose as (
    delete from platform.queue_ready r using loose p
    where r.slot = p.slot and r.queue_id = queue_claim_in_turn.queue
      and r.priority = p.priority and r.position = p.position and r.group_key is null
    returning r.*
  ), gone_heads as (
    delete from platform.queue_ready r using unnest(heads, head_groups) p (position, group_key)
    where r.queue_id = queue_claim_in_turn.queue and r.group_key = p.group_key
      and r.position = p.position
    returning r.*
  ), gone as (
    select g.*, clock_timestamp() as at
    from (select * from gone_heads union all select * from gone_loose) g
  ), leased as (
    insert into platform.queue_lease as l (
      slot, priority, queue_id, position, day, attempt, number, ready_at, claimed_at, expires_at,
      deadline, worker, group_key, errors
    )
    select s.last_value, g.priority, g.queue_id, g.position, g.day, g.attempt + 1, g.number + 1,
      g.ready_at, g.at, g.at + make_interval(secs => settings.lease_ms / 1000.0),
      g.at + make_interval(secs => settings.wall_ms / 1000.0), queue_claim_in_turn.worker,
      g.group_key, g.errors
    from gone g, platform.queue_lease_slot s
    returning l.*
  )
  select l.queue_id, l.position, l.number, l.attempt, l.priority, l.group_key::text, l.claimed_at,
    l.expires_at, l.deadline, l.ready_at, e.id, e.topic, e.source, e.subject, e.tenant_id,
    e.payload::text, e.trace, e.published_at, looked_at
  from leased l join platform.event e on e.position = l.position and e.day = l.day;
  if not found and looked_at <> '' then
    cursor := looked_at;
    return next;
  end if;
end
$$;

-- Adds one failure to a history, of which the last twenty are kept.
create function platform.queue_errors(errors jsonb, attempt int, reason text, worker text)
returns jsonb
language sql volatile set search_path = pg_catalog, pg_temp
return case
    when jsonb_array_length(coalesce(errors, '[]')) >= 20 then errors - 0
    else coalesce(errors, '[]')
  end || jsonb_build_object(
    'at', to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'attempt', attempt, 'reason', left(reason, 2000), 'worker', worker);

-- The host's: ends leases. Outcomes: ack, retry, release, reject; `afters` in milliseconds, null
-- is the queue's backoff (retry) or at once (release). Returns, by place in the arrays, what has
-- become of each message: done, ready, deferred or dead. What is missing was stale.
create function platform.queue_finish(
  queues int[], positions bigint[], numbers int[], outcomes text[], afters bigint[],
  reasons text[]
)
returns table (n bigint, state text)
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off
set enable_mergejoin = off set jit = off as $$
#variable_conflict use_column
begin
  return query
  with given as materialized (
    select * from unnest(queues, positions, numbers, outcomes, afters, reasons) with ordinality
      as g (queue_id, position, number, outcome, after_ms, reason, n)
  ), taken as (
    delete from platform.queue_lease l using given g
    where l.queue_id = g.queue_id and l.position = g.position and l.number = g.number
    returning g.n, g.outcome, g.after_ms, coalesce(g.reason, g.outcome) as reason, l.priority,
      l.queue_id, l.position, l.day, l.attempt, l.number, l.worker, l.group_key, l.errors
  ), settled as materialized (
    select t.*,
      case
        when t.outcome = 'ack' then 'done'
        when t.outcome = 'reject' then 'dead'
        when t.outcome = 'retry' and t.attempt >= q.attempts_max then 'dead'
        when t.outcome = 'release' and coalesce(t.after_ms, 0) <= 0 then 'ready'
        when t.outcome in ('retry', 'release') then 'deferred'
      end as state,
      -- Full jitter: anywhere between at once and the step of this attempt.
      clock_timestamp() + make_interval(secs => case
        when t.after_ms is not null then least(greatest(t.after_ms, 0), 2592000000)
        else random() * least(
          q.backoff_max_ms, q.backoff_first_ms * power(2, least(t.attempt - 1, 40)))
      end / 1000.0) as due_at,
      -- A release uses no attempt up.
      case when t.outcome = 'release' then t.attempt - 1 else t.attempt end as counted,
      case when t.outcome in ('retry', 'reject')
        then platform.queue_errors(t.errors, t.attempt, t.reason, t.worker) else t.errors
      end as history
    from taken t join platform.queue q on q.id = t.queue_id
  ), to_done as (
    insert into platform.queue_done (
      day, queue_id, position, attempt, number, outcome, finished_at
    )
    select (now() at time zone 'UTC')::date, queue_id, position, attempt, number, 'acked', now()
    from settled where state = 'done'
  ), to_ready as (
    insert into platform.queue_ready (
      slot, priority, queue_id, position, day, attempt, number, ready_at, group_key, errors
    )
    select s.last_value, priority, queue_id, position, day, counted, number, now(), group_key,
      history
    from settled, platform.queue_ready_slot s where state = 'ready'
  ), to_deferred as (
    insert into platform.queue_deferred (
      due_at, queue_id, position, day, attempt, number, priority, blocks, group_key, errors
    )
    select due_at, queue_id, position, day, counted, number, priority, true, group_key, history
    from settled where state = 'deferred'
  ), to_dead as (
    insert into platform.queue_dead (
      queue_id, position, day, id, topic, source, subject, tenant_id, payload, trace,
      published_at, event_queue_id, priority, attempt, number, group_key, errors, reason, died_at
    )
    select t.queue_id, t.position, t.day, e.id, e.topic, e.source, e.subject, e.tenant_id,
      e.payload, e.trace, e.published_at, e.queue_id, t.priority, t.attempt, t.number,
      t.group_key, t.history, left(t.reason, 2000), clock_timestamp()
    from settled t join platform.event e on e.position = t.position and e.day = t.day
    where t.state = 'dead'
  )
  select s.n, s.state from settled s;
end
$$;

-- The host's: keeps leases that nobody has ended for `by_ms` more, up to a grace after the deadline
-- in which the answer to a timeout can still be written. Returns the places of those still held.
-- One that is being finished this moment counts as held.
create function platform.queue_extend(
  queues int[], positions bigint[], numbers int[], by_ms bigint
)
returns setof bigint
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off
set enable_mergejoin = off set jit = off as $$
#variable_conflict use_column
declare
  current_slot smallint := (select last_value from platform.queue_lease_slot);
begin
  return query
  with given as materialized (
    select * from unnest(queues, positions, numbers) with ordinality
      as g (queue_id, position, number, n)
  ), held as materialized (
    select g.n, l.slot, l.queue_id, l.position
    from given g join platform.queue_lease l
      on l.queue_id = g.queue_id and l.position = g.position and l.number = g.number
  ), locked as materialized (
    -- Never waits: who finishes the same leases in another order would wait for this one.
    select l.slot, l.queue_id, l.position, l.number
    from platform.queue_lease l join given g
      on l.queue_id = g.queue_id and l.position = g.position and l.number = g.number
    for update of l skip locked
  ), kept as (
    -- A lease that is long moves on, so that its slot can be emptied.
    update platform.queue_lease l
    set slot = current_slot,
      expires_at = least(
        clock_timestamp() + make_interval(secs => queue_extend.by_ms / 1000.0),
        l.deadline + interval '10 seconds')
    from locked k
    where l.slot = k.slot and l.queue_id = k.queue_id and l.position = k.position
      and l.number = k.number
  )
  select h.n from held h;
end
$$;

-- The host's: leases that lapsed used an attempt up and go the way of a retry.
create function platform.queue_expire(rows_max int)
returns table (queue_id int, expired bigint, dead bigint)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  lapsed record;
begin
  select array_agg(l.queue_id) as queues, array_agg(l.position) as positions,
    array_agg(l.number) as numbers, array_agg('retry'::text) as outcomes,
    array_agg(null::bigint) as afters,
    array_agg(case when l.is_late then 'deadline exceeded' else 'lease expired' end) as reasons
  into lapsed
  from (
    select e.queue_id, e.position, e.number, e.deadline <= clock_timestamp() as is_late
    from platform.queue_lease e
    where e.expires_at <= clock_timestamp()
    limit rows_max for update skip locked
  ) l;
  if lapsed.queues is null then
    return;
  end if;
  return query
  select u.queue_id, count(*), count(*) filter (where f.state = 'dead')
  from platform.queue_finish(lapsed.queues, lapsed.positions, lapsed.numbers, lapsed.outcomes,
    lapsed.afters, lapsed.reasons) f
  join unnest(lapsed.queues) with ordinality u (queue_id, n) on u.n = f.n
  group by u.queue_id;
end
$$;

-- The host's: deferred messages whose time has come become ready. Returns how many.
create function platform.queue_promote(rows_max int) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off
set enable_mergejoin = off set jit = off as $$
declare
  low_at timestamptz;
  moved bigint;
begin
  select to_timestamp(last_value / 1000.0) into low_at from platform.queue_deferred_low;
  with due as materialized (
    select d.queue_id, d.position from platform.queue_deferred d
    where d.due_at >= low_at and d.due_at <= clock_timestamp()
    order by d.due_at limit rows_max for update skip locked
  ), gone as (
    delete from platform.queue_deferred d using due
    where d.queue_id = due.queue_id and d.position = due.position
    returning d.*
  )
  insert into platform.queue_ready (
    slot, priority, queue_id, position, day, attempt, number, ready_at, group_key, errors
  )
  select s.last_value, g.priority, g.queue_id, g.position, g.day, g.attempt, g.number, now(),
    g.group_key, g.errors
  from gone g, platform.queue_ready_slot s;
  get diagnostics moved = row_count;
  return moved;
end
$$;

-- The host's: raises the due time at which queue_promote begins, over what it has promoted already.
-- A row of a transaction that is still open may come in below; the next call finds it.
create function platform.queue_raise_low() returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  low_at timestamptz;
begin
  select least(
    (select min(d.due_at) from platform.queue_deferred d),
    (select min(a.xact_start) from pg_stat_activity a),
    now() - interval '1 minute'
  ) into low_at;
  perform setval(
    'platform.queue_deferred_low', greatest(floor(extract(epoch from low_at) * 1000)::bigint, 0));
end
$$;

-- The host's: truncates a slot if it holds no row that anybody can still commit or roll back.
create function platform.queue_truncate(slot_table regclass) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  has_rows boolean;
begin
  if pg_relation_size(slot_table) = 0 then
    return true;
  end if;
  -- Looked at first without the lock, which would hold up others.
  execute format('select exists (select from %s)', slot_table) into has_rows;
  if has_rows then
    return false;
  end if;
  begin
    execute format('lock table %s in access exclusive mode nowait', slot_table);
  exception when lock_not_available then
    return false;
  end;
  execute format('select exists (select from %s)', slot_table) into has_rows;
  if not has_rows then
    execute format('truncate %s', slot_table);
  end if;
  return not has_rows;
end
$$;

-- The host's: moves the ring of `queue_ready` or `queue_lease` on when its current slot has grown,
-- and empties slots that are through. Where few are empty, rows of the oldest ready slot are parked
-- in slot 0, so that a paused queue cannot pin the ring; a long lease moves on when it is extended.
create function platform.queue_rotate(ring text, slot_bytes_max bigint, park_max int) returns int
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  slots constant int := 8;
  current_slot int;
  slot int;
  next_slot int;
  empty int := 0;
begin
  if ring not in ('queue_ready', 'queue_lease') then
    raise exception 'no ring %', ring using errcode = '22023';
  end if;
  if not pg_try_advisory_xact_lock(hashtext('platform.' || ring)) then
    return 0;
  end if;
  execute format('select last_value from platform.%I', ring || '_slot') into current_slot;
  for step in 1..slots - 1 loop
    slot := (current_slot - 1 + step) % slots + 1;
    if platform.queue_truncate(format('platform.%I', ring || '_' || slot)::regclass) then
      empty := empty + 1;
      next_slot := coalesce(next_slot, slot);
    end if;
  end loop;
  if next_slot is not null and pg_relation_size(
    format('platform.%I', ring || '_' || current_slot)::regclass) >= slot_bytes_max then
    perform setval(format('platform.%I', ring || '_slot')::regclass, next_slot);
  end if;
  if ring = 'queue_ready' then
    perform platform.queue_truncate('platform.queue_ready_0');
    if empty <= 2 then
      -- The oldest is the one that the current slot would come to next.
      for step in 1..slots - 1 loop
        slot := (current_slot - 1 + step) % slots + 1;
        exit when platform.queue_park(slot, park_max) > 0;
      end loop;
    end if;
  end if;
  return empty;
end
$$;

-- The host's: moves rows of a ready slot into slot 0.
create function platform.queue_park(from_slot int, rows_max int) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  moved bigint;
begin
  with gone as (
    delete from platform.queue_ready r
    where r.slot = from_slot and r.ctid = any (array(
      select p.ctid from platform.queue_ready p where p.slot = from_slot
      limit rows_max for update skip locked
    ))
    returning r.*
  )
  insert into platform.queue_ready (
    slot, priority, queue_id, position, day, attempt, number, ready_at, group_key, errors
  )
  select 0, g.priority, g.queue_id, g.position, g.day, g.attempt, g.number, g.ready_at,
    g.group_key, g.errors
  from gone g;
  get diagnostics moved = row_count;
  return moved;
end
$$;

-- The host's: makes the partitions of yesterday to three days ahead, and drops those past their
-- time. A day of events stays as long as a message of it is on its way. Waits for locks a moment
-- only, for publishers queue up behind it; 55P03 says to try again.
create function platform.queue_days(event_days int, done_days int) returns int
language plpgsql
set search_path = pg_catalog, pg_temp set lock_timeout = '100ms' as $$
declare
  today constant date := (now() at time zone 'UTC')::date;
  parent text;
  part record;
  part_day date;
  changed int := 0;
begin
  if not pg_try_advisory_xact_lock(hashtext('platform.queue_days')) then
    return 0;
  end if;
  foreach parent in array array['event', 'queue_done'] loop
    for ahead in -1..3 loop
      changed := changed + platform.queue_make_day(parent, today + ahead)::int;
    end loop;
  end loop;
  for part in
    select c.relname, p.relname as parent from pg_inherits i
    join pg_class c on c.oid = i.inhrelid join pg_class p on p.oid = i.inhparent
    where p.oid in ('platform.event'::regclass, 'platform.queue_done'::regclass)
      and c.relname ~ '_[0-9]{8}$'
  loop
    part_day := to_date(right(part.relname, 8), 'YYYYMMDD');
    if part.parent = 'queue_done' and part_day < today - done_days then
      execute format('drop table platform.%I', part.relname);
      changed := changed + 1;
    elsif part.parent = 'event' and part_day < today - event_days
      and platform.queue_drop_events(part.relname, part_day) then
      changed := changed + 1;
    end if;
  end loop;
  return changed;
end
$$;

-- The host's: one partition of one day, with what had to go to the default one meanwhile. True when
-- it was missing. Attached rather than made in place: that stops nobody from writing.
create function platform.queue_make_day(parent text, part_day date) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  part text := parent || '_' || to_char(part_day, 'YYYYMMDD');
begin
  if to_regclass(format('platform.%I', part)) is not null then
    return false;
  end if;
  execute format(
    'create table platform.%I (like platform.%I including defaults including indexes)',
    part, parent);
  execute format(
    'lock table platform.%I in access exclusive mode', parent || '_default');
  execute format(
    'with moved as (delete from platform.%I where day = %L returning *) '
    'insert into platform.%I select * from moved', parent || '_default', part_day, part);
  execute format(
    'alter table platform.%I attach partition platform.%I for values from (%L) to (%L)',
    parent, part, part_day, part_day + 1);
  return true;
end
$$;

-- The host's: drops a day of events unless a message still points there. True when it did.
create function platform.queue_drop_events(part text, part_day date) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  -- Whoever has just put a message back has read its event, and holds a lock on the partition.
  execute format('lock table platform.%I in access exclusive mode', part);
  if exists (select from platform.queue_ready r where r.day = part_day)
    or exists (select from platform.queue_deferred d where d.day = part_day)
    or exists (select from platform.queue_lease l where l.day = part_day) then
    return false;
  end if;
  execute format('drop table platform.%I', part);
  return true;
end
$$;

-- The host's: forgets keys out of their window and dead letters past their time.
create function platform.queue_purge_expired(dead_days int, rows_max int) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  keys bigint;
  letters bigint;
begin
  delete from platform.queue_dedup where ctid = any (array(
    select d.ctid from platform.queue_dedup d
    where d.created_at <= now() - interval '24 hours' limit rows_max for update skip locked
  ));
  get diagnostics keys = row_count;
  delete from platform.queue_dead where ctid = any (array(
    select d.ctid from platform.queue_dead d
    where d.died_at <= now() - make_interval(days => dead_days) limit rows_max
    for update skip locked
  ));
  get diagnostics letters = row_count;
  return keys + letters;
end
$$;

-- How much is in each queue: the contract for autoscalers and dashboards. Counts every row.
create view platform.queue_demand as
select q.id as queue_id, q.service, q.name as queue, q.kind, q.paused_at is not null as paused,
  q.retired_at is not null as retired, coalesce(r.messages, 0) as ready,
  coalesce(f.messages, 0) as deferred, coalesce(l.messages, 0) as leased,
  coalesce(d.messages, 0) as dead,
  coalesce(greatest(extract(epoch from clock_timestamp() - r.oldest), 0), 0)::float8
    as oldest_ready_seconds
from platform.queue q
left join (select queue_id, count(*) as messages, min(ready_at) as oldest
  from platform.queue_ready group by queue_id) r on r.queue_id = q.id
left join (select queue_id, count(*) as messages
  from platform.queue_deferred group by queue_id) f on f.queue_id = q.id
left join (select queue_id, count(*) as messages
  from platform.queue_lease group by queue_id) l on l.queue_id = q.id
left join (select queue_id, count(*) as messages
  from platform.queue_dead group by queue_id) d on d.queue_id = q.id;

-- The host's: what is ready, deferred, leased or dead in a queue, in order of position after
-- `after_position`.
create function platform.queue_peek(
  queue int, state text, after_position bigint, rows_max int
)
returns table (
  "position" bigint, id uuid, topic text, source text, subject text, tenant_id uuid,
  payload jsonb, trace text, published_at timestamptz, attempt int, number int, priority smallint,
  group_key text, at timestamptz, worker text, errors jsonb, reason text
)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  if queue_peek.state = 'dead' then
    return query
    select d.position, d.id, d.topic, d.source, d.subject, d.tenant_id, d.payload, d.trace,
      d.published_at, d.attempt, d.number, d.priority, d.group_key::text, d.died_at, null::text,
      d.errors, d.reason
    from platform.queue_dead d
    where d.queue_id = queue_peek.queue and d.position > queue_peek.after_position
    order by d.position limit least(queue_peek.rows_max, 1000);
    return;
  elsif queue_peek.state not in ('ready', 'deferred', 'leased') then
    raise exception 'messages are ready, deferred, leased or dead, not %', queue_peek.state
      using errcode = '22023';
  end if;
  return query
  select m.position, e.id, e.topic, e.source, e.subject, e.tenant_id, e.payload, e.trace,
    e.published_at, m.attempt, m.number, m.priority, m.group_key::text, m.at, m.worker, m.errors,
    null::text
  from (
    select r.position, r.day, r.attempt, r.number, r.priority, r.group_key, r.ready_at as at,
      null::text as worker, r.errors
    from platform.queue_ready r
    where queue_peek.state = 'ready' and r.queue_id = queue_peek.queue
      and r.position > queue_peek.after_position
    union all
    select f.position, f.day, f.attempt, f.number, f.priority, f.group_key, f.due_at, null,
      f.errors
    from platform.queue_deferred f
    where queue_peek.state = 'deferred' and f.queue_id = queue_peek.queue
      and f.position > queue_peek.after_position
    union all
    select l.position, l.day, l.attempt, l.number, l.priority, l.group_key, l.expires_at,
      l.worker, l.errors
    from platform.queue_lease l
    where queue_peek.state = 'leased' and l.queue_id = queue_peek.queue
      and l.position > queue_peek.after_position
    order by position limit least(queue_peek.rows_max, 1000)
  ) m
  join platform.event e on e.position = m.position and e.day = m.day
  order by m.position;
end
$$;

-- Whether a filter of messages, {ids, topic, tenant_id, reason, before_ms, since_ms, all}, says
-- anything, and nothing unknown. What is done to many messages at once must say which.
create function platform.queue_filter_check(filter jsonb) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  unknown text;
begin
  select string_agg(key, ', ') into unknown from jsonb_object_keys(coalesce(filter, '{}')) key
  where key not in ('ids', 'topic', 'tenant_id', 'reason', 'before_ms', 'since_ms', 'all');
  if unknown is not null then
    raise exception 'no such filter: %', unknown using errcode = '22023';
  end if;
  if coalesce(jsonb_strip_nulls(filter), '{}') in ('{}', '{"all": false}') then
    raise exception 'a filter is needed; {"all": true} is one' using errcode = '22023';
  end if;
end
$$;

-- Whether a message passes. `reason` is a part of the last failure's words; `before_ms` and
-- `since_ms`, since 1970, bound when it died or was published.
create function platform.queue_filter_passes(
  filter jsonb, id uuid, topic text, tenant_id uuid, reason text, at timestamptz
) returns boolean
language sql stable set search_path = pg_catalog, pg_temp
return (filter ->> 'ids' is null or (filter -> 'ids') ? id::text)
  and (filter ->> 'topic' is null or platform.topic_matches(filter ->> 'topic', topic))
  and (filter ->> 'tenant_id' is null or tenant_id = (filter ->> 'tenant_id')::uuid)
  and (filter ->> 'reason' is null or strpos(coalesce(reason, ''), filter ->> 'reason') > 0)
  and (filter ->> 'before_ms' is null
    or at < to_timestamp((filter ->> 'before_ms')::numeric / 1000.0))
  and (filter ->> 'since_ms' is null
    or at >= to_timestamp((filter ->> 'since_ms')::numeric / 1000.0));

-- The host's: sends dead letters that pass the filter back, at most 10000, with all their attempts
-- before them and their history kept; `per_second` spreads them, null sends all at once. Returns
-- how many; a dry run only counts.
create function platform.queue_redrive_dead(
  queue int, filter jsonb, dry_run boolean, per_second float8
) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  rows_max constant int := 10000;
  picked bigint[];
  today constant date := (now() at time zone 'UTC')::date;
begin
  perform platform.queue_filter_check(queue_redrive_dead.filter);
  picked := array(
    select d.position from platform.queue_dead d
    where d.queue_id = queue_redrive_dead.queue and platform.queue_filter_passes(
      queue_redrive_dead.filter, d.id, d.topic, d.tenant_id, d.reason, d.died_at)
    order by d.position limit rows_max
  );
  if dry_run or cardinality(picked) = 0 then
    return cardinality(picked);
  end if;
  picked := array(
    select d.position from platform.queue_dead d
    where d.queue_id = queue_redrive_dead.queue and d.position = any (picked)
    order by d.position for update skip locked
  );
  -- Where the store has let go of the event, a copy takes its place, which only this queue hears.
  insert into platform.event (
    day, position, id, topic, source, subject, tenant_id, payload, trace, published_at, queue_id
  )
  select today, d.position, d.id, d.topic, d.source, d.subject, d.tenant_id, d.payload, d.trace,
    d.published_at, d.queue_id
  from platform.queue_dead d
  where d.queue_id = queue_redrive_dead.queue and d.position = any (picked)
    and not exists (
      select from platform.event e where e.position = d.position and e.day in (d.day, today)
    );
  with gone as (
    delete from platform.queue_dead d
    where d.queue_id = queue_redrive_dead.queue and d.position = any (picked)
    returning d.*
  ), stored as (
    select g.*, e.day as event_day, row_number() over (order by g.position) - 1 as place
    from gone g join lateral (
      select e.day from platform.event e
      where e.position = g.position and e.day in (g.day, today)
      limit 1
    ) e on true
  ), later as (
    insert into platform.queue_deferred (
      due_at, queue_id, position, day, attempt, number, priority, blocks, group_key, errors
    )
    select clock_timestamp() + make_interval(secs => s.place / queue_redrive_dead.per_second),
      s.queue_id, s.position, s.event_day, 0, s.number, s.priority, false, s.group_key, s.errors
    from stored s where queue_redrive_dead.per_second is not null
  )
  insert into platform.queue_ready (
    slot, priority, queue_id, position, day, attempt, number, ready_at, group_key, errors
  )
  select r.last_value, s.priority, s.queue_id, s.position, s.event_day, 0, s.number, now(),
    s.group_key, s.errors
  from stored s, platform.queue_ready_slot r where queue_redrive_dead.per_second is null;
  return cardinality(picked);
end
$$;

-- The host's: takes messages of a state (ready, deferred, dead) that pass the filter out of a
-- queue, at most 10000; they count as done. Returns how many; a dry run only counts.
create function platform.queue_purge(queue int, state text, filter jsonb, dry_run boolean)
returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  rows_max constant int := 10000;
  picked bigint[];
  purged bigint;
begin
  perform platform.queue_filter_check(queue_purge.filter);
  if queue_purge.state not in ('ready', 'deferred', 'dead') then
    raise exception 'what is purged is ready, deferred or dead, not %', queue_purge.state
      using errcode = '22023';
  end if;
  picked := array(
    select m.position from (
      select r.position, r.day, null::text as reason, null::timestamptz as died_at
      from platform.queue_ready r
      where queue_purge.state = 'ready' and r.queue_id = queue_purge.queue
      union all
      select d.position, d.day, null, null from platform.queue_deferred d
      where queue_purge.state = 'deferred' and d.queue_id = queue_purge.queue
    ) m join platform.event e on e.position = m.position and e.day = m.day
    where platform.queue_filter_passes(
      queue_purge.filter, e.id, e.topic, e.tenant_id, null, e.published_at)
    union all
    select d.position from platform.queue_dead d
    where queue_purge.state = 'dead' and d.queue_id = queue_purge.queue
      and platform.queue_filter_passes(
        queue_purge.filter, d.id, d.topic, d.tenant_id, d.reason, d.died_at)
    limit rows_max
  );
  if dry_run then
    return cardinality(picked);
  end if;
  with ready as (
    delete from platform.queue_ready r
    where queue_purge.state = 'ready' and r.queue_id = queue_purge.queue
      and r.position = any (picked)
    returning r.position, r.attempt, r.number
  ), deferred as (
    delete from platform.queue_deferred d
    where queue_purge.state = 'deferred' and d.queue_id = queue_purge.queue
      and d.position = any (picked)
    returning d.position, d.attempt, d.number
  ), dead as (
    delete from platform.queue_dead d
    where queue_purge.state = 'dead' and d.queue_id = queue_purge.queue
      and d.position = any (picked)
    returning d.position, d.attempt, d.number
  )
  insert into platform.queue_done (day, queue_id, position, attempt, number, outcome, finished_at)
  select (now() at time zone 'UTC')::date, queue_purge.queue, g.position, g.attempt, g.number,
    'purged', now()
  from (select * from ready union all select * from deferred union all select * from dead) g;
  get diagnostics purged = row_count;
  return purged;
end
$$;

-- The host's: in which state a queue has the message with this event id, and at which position.
create function platform.queue_find(queue int, id uuid, out state text, out "position" bigint)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  event_position bigint;
begin
  select d.position into event_position from platform.queue_dead d
  where d.queue_id = queue_find.queue and d.id = queue_find.id;
  if found then
    state := 'dead';
    position := event_position;
    return;
  end if;
  -- One statement: between two, a message could pass from one state to another.
  select m.position, m.state into queue_find.position, queue_find.state
  from (select e.position from platform.event e where e.id = queue_find.id) e
  join lateral (
    select r.position, 'ready' as state from platform.queue_ready r
    where r.queue_id = queue_find.queue and r.position = e.position
    union all
    select r.position, 'deferred' from platform.queue_deferred r
    where r.queue_id = queue_find.queue and r.position = e.position
    union all
    select r.position, 'leased' from platform.queue_lease r
    where r.queue_id = queue_find.queue and r.position = e.position
    union all
    select r.position, 'dead' from platform.queue_dead r
    where r.queue_id = queue_find.queue and r.position = e.position
    union all
    select r.position, 'done' from platform.queue_done r
    where r.queue_id = queue_find.queue and r.position = e.position
  ) m on true
  limit 1;
end
$$;

-- Pauses or resumes a queue of the caller's own: a paused one takes messages and gives none.
create function platform.queue_pause(name text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update platform.queue q set paused_at = now(), paused_by = platform.caller()
  where q.id = platform.queue_own(queue_pause.name) and q.paused_at is null;
end
$$;
create function platform.queue_resume(name text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update platform.queue q set paused_at = null, paused_by = null
  where q.id = platform.queue_own(queue_resume.name) and q.paused_at is not null;
end
$$;
grant execute on function platform.queue_pause(text), platform.queue_resume(text) to public;

-- The queues that the caller has made, or the one of that name.
create function platform.queue_stats(name text default null)
returns table (
  queue text, paused boolean, ready bigint, deferred bigint, leased bigint, dead bigint,
  oldest_ready_seconds float8
)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  return query
  select d.queue, d.paused, d.ready, d.deferred, d.leased, d.dead, d.oldest_ready_seconds
  from platform.queue_demand d
  where d.service = platform.caller() and d.kind = 'service'
    and (queue_stats.name is null or d.queue = queue_stats.name)
  order by d.queue limit 1000;
end
$$;
grant execute on function platform.queue_stats(text) to public;

-- Messages of a queue of the caller's own: ready, deferred, leased or dead, by position.
create function platform.queue_messages(
  queue text, state text, after_position bigint, rows_max int
)
returns table (
  "position" bigint, id uuid, topic text, source text, subject text, tenant_id uuid,
  payload jsonb, trace text, published_at timestamptz, attempt int, number int, priority smallint,
  group_key text, at timestamptz, worker text, errors jsonb, reason text
)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query select * from platform.queue_peek(platform.queue_own(queue_messages.queue),
    queue_messages.state, queue_messages.after_position, queue_messages.rows_max);
end
$$;
grant execute on function platform.queue_messages(text, text, bigint, int) to public;

-- Dead letters of a queue of the caller's own: back to work, or thrown away. As
-- queue_redrive_dead and queue_purge.
create function platform.queue_redrive(
  queue text, filter jsonb, dry_run boolean default false, per_second float8 default null
) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  return platform.queue_redrive_dead(platform.queue_own(queue_redrive.queue),
    queue_redrive.filter, queue_redrive.dry_run, queue_redrive.per_second);
end
$$;
create function platform.queue_discard(
  queue text, state text, filter jsonb, dry_run boolean default false
) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  return platform.queue_purge(platform.queue_own(queue_discard.queue), queue_discard.state,
    queue_discard.filter, queue_discard.dry_run);
end
$$;
grant execute on function platform.queue_redrive(text, jsonb, boolean, float8),
  platform.queue_discard(text, text, jsonb, boolean) to public;

-- Events from before there were subscriptions stay, for those who start at the earliest.
insert into platform.event (
  day, position, id, topic, source, subject, tenant_id, payload, trace, published_at
)
select (o.published_at at time zone 'UTC')::date, o.position, o.id, o.topic, o.source, o.subject,
  o.tenant_id, o.payload, o.trace, o.published_at
from platform.outbox o;
select setval('platform.event_position', max(position)) from platform.outbox having count(*) > 0;
drop table platform.outbox;
select platform.queue_days(30, 3);
