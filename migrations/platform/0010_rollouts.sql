-- Rollouts: artifacts and their bytes, revisions of components, who serves how much of them, and
-- how that changes step by step. Everything here is a fact that all hosts share: hosts follow
-- `traffic` and say what they have applied; one of them at a time, by a lease with a fencing
-- number, moves a rollout from state to state, each move in one transaction.
--
-- Nobody is notified: hosts look twice a second, at one number (`rollout_news`).

-- Bytes by their digest.
create table platform.blob (
  digest text primary key check (digest ~ '^sha256:[0-9a-f]{64}$'),
  bytes bytea not null check (octet_length(bytes) <= 268435456),
  created_at timestamptz not null default now()
);
-- Compiled code does not shrink by much, and would cost time at each end.
alter table platform.blob alter column bytes set storage external;

-- What was pushed, by the digest of its manifest.
create table platform.artifact (
  digest text primary key check (digest ~ '^sha256:[0-9a-f]{64}$'),
  component text not null check (component ~ '^[a-z][a-z0-9]*(-[a-z0-9]+)*$'),
  version text not null default '' check (length(version) <= 200),
  -- The component's bytes.
  wasm text not null references platform.blob,
  -- Its archive, as it came, signatures included.
  archive text not null references platform.blob,
  -- Absent: the component has one already.
  fragment text check (length(fragment) <= 262144),
  -- [{name, sql}] in order; names are NNNN_name.sql.
  migrations jsonb not null default '[]',
  signature text not null check (signature in ('valid', 'unsigned', 'untrusted', 'invalid')),
  key_id text,
  imports jsonb not null default '[]',
  exports jsonb not null default '[]',
  size_bytes bigint not null,
  created_at timestamptz not null default now(),
  created_by text not null check (length(created_by) between 1 and 200)
);
create index artifact_component on platform.artifact (component, created_at desc);

-- The last number given to each component.
create table platform.revision_counter (
  component text primary key,
  last int not null check (last >= 0)
);

-- What a component was at one moment; never changed.
create table platform.revision (
  component text not null check (component ~ '^[a-z][a-z0-9]*(-[a-z0-9]+)*$'),
  number int not null check (number > 0),
  primary key (component, number),
  -- Absent: it came with a release of the host. Its bytes may be among the blobs or not.
  artifact text references platform.artifact,
  wasm text not null check (wasm ~ '^sha256:[0-9a-f]{64}$'),
  -- The component's own piece of a manifest; the path in it means nothing.
  fragment text not null check (length(fragment) <= 262144),
  -- As of which number of configuration_change.
  configuration bigint not null default 0 check (configuration >= 0),
  version text not null default '',
  origin text not null check (origin in ('manifest', 'push', 'configuration')),
  note text not null default '' check (length(note) <= 1000),
  created_at timestamptz not null default now(),
  created_by text not null check (length(created_by) between 1 and 200)
);
-- The same again is the same revision.
create unique index revision_same on platform.revision (
  component, wasm, coalesce(artifact, ''), md5(fragment), configuration
);

create function platform.revision_stays() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'a revision never changes: make another' using errcode = 'restrict_violation';
end
$$;
create trigger revision_stays before update on platform.revision
  for each row execute function platform.revision_stays();

-- Whether weights are shares, per 10,000, of everything: {"7": 9000, "8": 1000}.
create function platform.traffic_is_whole(weights jsonb) returns boolean
language sql immutable set search_path = pg_catalog, pg_temp
return jsonb_typeof(weights) = 'object' and (
  select coalesce(sum(w.value::int), 0) = 10000
    and bool_and(w.key ~ '^[1-9][0-9]{0,8}$' and w.value::int between 0 and 10000)
  from jsonb_each_text(weights) w
);

create sequence platform.traffic_sequence;

-- What each component serves.
create table platform.traffic (
  component text primary key,
  -- Of its last change; for one component it only grows.
  sequence bigint not null,
  weights jsonb not null check (platform.traffic_is_whole(weights)),
  changed_at timestamptz not null default now(),
  changed_by text not null
);

-- All there was; the newest row of a component is its `traffic`.
create table platform.traffic_change (
  sequence bigint primary key,
  component text not null,
  weights jsonb not null check (platform.traffic_is_whole(weights)),
  rollout uuid,
  reason text not null default '',
  changed_at timestamptz not null default now(),
  changed_by text not null
);
create index traffic_change_component on platform.traffic_change (component, sequence desc);

create table platform.rollout (
  id uuid primary key,
  component text not null,
  revision int not null,
  -- What had the greatest share before; absent for a component that is new.
  baseline int,
  -- The weights before, to which it rolls back.
  before jsonb,
  -- {steps, step_seconds, gates} or as the controller writes it.
  plan jsonb not null,
  kind text not null check (kind in ('deploy', 'rollback', 'configuration')),
  state text not null check (state in (
    'verifying', 'compiling', 'migrating', 'probing', 'staged', 'stepping', 'promoting',
    'draining', 'done', 'rolling_back', 'rolled_back', 'failed', 'paused', 'aborted')),
  -- Where a paused one goes on; how one that rolls back ends.
  onward text,
  -- Which step of the plan; -1 before the first.
  step int not null default -1,
  -- Its share, per 10,000.
  weight int not null default 0,
  entered_at timestamptz not null default now(),
  -- When all hosts had applied the traffic of this state.
  settled_at timestamptz,
  -- Of the traffic that this state has set.
  sequence bigint,
  -- What hosts had counted before the first step, and before this one.
  samples_first jsonb,
  samples_step jsonb,
  reason text not null default '',
  note text not null default '' check (length(note) <= 1000),
  created_at timestamptz not null default now(),
  created_by text not null check (length(created_by) between 1 and 200),
  finished_at timestamptz,
  -- Who moves it now. Every move carries the fence; a stale one moves nothing.
  holder uuid,
  held_until timestamptz,
  fence bigint not null default 0,
  foreign key (component, revision) references platform.revision on delete cascade,
  check ((finished_at is not null)
    = (state in ('done', 'rolled_back', 'failed', 'aborted')))
);
create unique index rollout_open on platform.rollout (component) where finished_at is null;
create index rollout_history on platform.rollout (component, created_at desc);

create table platform.rollout_event (
  rollout uuid not null references platform.rollout on delete cascade,
  number bigint generated always as identity,
  primary key (rollout, number),
  at timestamptz not null default clock_timestamp(),
  state text not null,
  weight int not null,
  words text not null,
  by text not null
);

create table platform.freeze (
  id uuid primary key,
  -- Absent: all of them.
  component text,
  reason text not null check (length(reason) between 1 and 1000),
  created_at timestamptz not null default now(),
  created_by text not null check (length(created_by) between 1 and 200),
  lifted_at timestamptz,
  lifted_by text
);

-- Hosts that follow; a row lives as long as its process, or 15 seconds longer.
create table platform.host (
  id uuid primary key,
  -- Which one it is, over its restarts.
  name text not null,
  version text not null,
  started_at timestamptz not null default now(),
  heartbeat_at timestamptz not null default now(),
  generation bigint not null default 0
) with (fillfactor = 50);
create unique index host_name on platform.host (name);

-- What a host has applied of each component's traffic, or why it has not.
create table platform.host_applied (
  host uuid not null references platform.host on delete cascade,
  component text not null,
  primary key (host, component),
  sequence bigint not null,
  -- Revisions that were left out and still finish calls.
  draining int not null default 0,
  failure text,
  at timestamptz not null default now()
) with (fillfactor = 70);

-- What a host says of a rollout's revision: compiled, and probed.
create table platform.host_report (
  host uuid not null references platform.host on delete cascade,
  rollout uuid not null references platform.rollout on delete cascade,
  stage text not null check (stage in ('compiling', 'probing')),
  primary key (host, rollout, stage),
  failure text,
  at timestamptz not null default now()
);

-- Counters of a revision on a host since that host has it. Written only while its component rolls.
create table platform.sample (
  host uuid not null references platform.host on delete cascade,
  component text not null,
  number int not null,
  primary key (host, component, number),
  calls bigint not null,
  server_errors bigint not null,
  failures bigint not null,
  traps bigint not null,
  timeouts bigint not null,
  cpu_kills bigint not null,
  refused bigint not null,
  -- Not cumulative; the bounds are the runtime's.
  latency bigint[] not null,
  at timestamptz not null default now()
) with (fillfactor = 50);

-- Who is alive.
create view platform.host_alive as
select h.* from platform.host h where h.heartbeat_at > now() - interval '15 seconds';

-- Makes a revision, or finds the same one.
create function platform.revision_make(
  component text, artifact text, wasm text, fragment text, configuration bigint, version text,
  origin text, note text, by text, out number int, out made boolean
)
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  -- Whoever counts for a component waits here for the others.
  insert into platform.revision_counter as c (component, last) values (revision_make.component, 0)
  on conflict on constraint revision_counter_pkey do update set last = c.last;
  select r.number into revision_make.number from platform.revision r
  where r.component = revision_make.component and r.wasm = revision_make.wasm
    and coalesce(r.artifact, '') = coalesce(revision_make.artifact, '')
    and r.fragment = revision_make.fragment
    and r.configuration = revision_make.configuration;
  made := not found;
  if made then
    update platform.revision_counter c set last = c.last + 1
    where c.component = revision_make.component
    returning c.last into revision_make.number;
    insert into platform.revision (component, number, artifact, wasm, fragment, configuration,
      version, origin, note, created_by)
    values (revision_make.component, revision_make.number, revision_make.artifact,
      revision_make.wasm, revision_make.fragment, revision_make.configuration,
      revision_make.version, revision_make.origin, revision_make.note, revision_make.by);
  end if;
end
$$;

-- Changes what a component serves, for all hosts. All revisions must exist. Returns the sequence.
create function platform.traffic_set(
  component text, weights jsonb, rollout uuid, reason text, by text
)
returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  missing text;
  change bigint;
begin
  select w.key into missing from jsonb_object_keys(traffic_set.weights) w (key)
  where not exists (
    select from platform.revision r
    where r.component = traffic_set.component and r.number = w.key::int
  );
  if found then
    raise exception '% has no revision %', traffic_set.component, missing
      using errcode = 'foreign_key_violation';
  end if;
  -- The row is held before the number is taken, so that a component's numbers only grow.
  insert into platform.traffic as t (component, sequence, weights, changed_by)
  values (traffic_set.component, 0, traffic_set.weights, traffic_set.by)
  on conflict on constraint traffic_pkey do update
    set weights = excluded.weights, changed_by = excluded.changed_by, changed_at = now();
  change := nextval('platform.traffic_sequence');
  update platform.traffic t set sequence = change where t.component = traffic_set.component;
  insert into platform.traffic_change (sequence, component, weights, rollout, reason, changed_by)
  values (change, traffic_set.component, traffic_set.weights, traffic_set.rollout,
    traffic_set.reason, traffic_set.by);
  return change;
end
$$;

-- What a host looks at: it grows with each change of traffic, and says how many rollouts are open.
create function platform.rollout_news(out sequence bigint, out open bigint)
language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  select coalesce((select sum(t.sequence) from platform.traffic t), 0)::bigint,
    (select count(*) from platform.rollout r where r.finished_at is null);
end;

-- What all hosts have counted of a component: {"<host>:<number>": sample}.
create function platform.sample_all(component text) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp
return (
  select coalesce(jsonb_object_agg(s.host || ':' || s.number,
    to_jsonb(s) - 'host' - 'component' - 'at'), '{}')
  from platform.sample s where s.component = sample_all.component
);

create function platform.rollout_note(rollout platform.rollout, words text, by text) returns void
language sql set search_path = pg_catalog, pg_temp as $$
  insert into platform.rollout_event (rollout, state, weight, words, by)
  values (rollout.id, rollout.state, rollout.weight, rollout_note.words, rollout_note.by);
$$;

-- The only way in which a rollout changes: by the row that the caller holds, with its event, and
-- with the traffic of the new state, if it has any.
create function platform.rollout_put(
  held platform.rollout, state text, step int, weight int, weights jsonb, words text, by text
)
returns platform.rollout
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  put platform.rollout;
  counted jsonb;
  change bigint;
begin
  if weights is not null then
    counted := platform.sample_all(held.component);
    change := platform.traffic_set(held.component, weights, held.id, words, by);
  end if;
  update platform.rollout r set
    state = rollout_put.state,
    step = coalesce(rollout_put.step, r.step),
    weight = coalesce(rollout_put.weight, r.weight),
    sequence = coalesce(change, r.sequence),
    samples_step = coalesce(counted, r.samples_step),
    samples_first = coalesce(r.samples_first, counted),
    entered_at = now(),
    settled_at = null,
    finished_at = case when rollout_put.state in ('done', 'rolled_back', 'failed', 'aborted')
      then now() end
  where r.id = held.id
  returning r.* into put;
  perform platform.rollout_note(put, words, by);
  return put;
end
$$;

-- Moves a rollout, if the caller still holds it and it still is where the caller has seen it.
create function platform.rollout_move(
  rollout uuid, fence bigint, from_state text, state text, step int, weight int, weights jsonb,
  reason text, onward text, words text
)
returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  held platform.rollout;
begin
  update platform.rollout r set
    reason = coalesce(rollout_move.reason, r.reason),
    onward = coalesce(rollout_move.onward, r.onward)
  where r.id = rollout_move.rollout and r.fence = rollout_move.fence
    and r.state = rollout_move.from_state and r.finished_at is null
  returning r.* into held;
  if not found then
    return false;
  end if;
  perform platform.rollout_put(held, rollout_move.state, rollout_move.step, rollout_move.weight,
    rollout_move.weights, rollout_move.words, 'controller');
  return true;
end
$$;

-- Takes every open rollout that nobody holds, and keeps those that the caller holds.
create function platform.rollout_hold(holder uuid, lasts interval)
returns setof platform.rollout
language sql set search_path = pg_catalog, pg_temp as $$
  update platform.rollout r set
    fence = case when r.holder = rollout_hold.holder and r.held_until > now() then r.fence
      else r.fence + 1 end,
    holder = rollout_hold.holder,
    held_until = now() + rollout_hold.lasts
  where r.id in (
    select o.id from platform.rollout o
    where o.finished_at is null
      and (o.holder is null or o.holder = rollout_hold.holder or o.held_until < now())
    order by o.id for update skip locked
  )
  returning r.*
$$;

-- What an operator orders: pause, resume, promote, abort, rollback. Returns null when it was done,
-- otherwise why not. The next move of whoever holds the rollout is stale then.
create function platform.rollout_order(rollout uuid, verb text, by text, reason text)
returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  held platform.rollout;
  place text;
  words text := rollout_order.verb || case when rollout_order.reason = '' then ''
    else ': ' || rollout_order.reason end;
begin
  update platform.rollout r set fence = r.fence + 1, held_until = now()
  where r.id = rollout_order.rollout and r.finished_at is null
  returning r.* into held;
  if not found then
    return 'it is over';
  end if;
  place := case when held.state = 'paused' then held.onward else held.state end;
  if place in ('rolling_back', 'draining') then
    return format('it is %s already', place);
  end if;
  if verb = 'pause' then
    if held.state = 'paused' then
      return 'it is paused already';
    end if;
    update platform.rollout r set onward = held.state where r.id = held.id;
    perform platform.rollout_put(held, 'paused', null, null, null, words, by);
  elsif verb = 'resume' then
    if held.state <> 'paused' then
      return 'it is not paused';
    end if;
    perform platform.rollout_put(held, place, null, null, null, words, by);
  elsif verb = 'promote' then
    if place not in ('staged', 'stepping') then
      return format('it is %s: only what is staged or stepping can be promoted', place);
    end if;
    perform platform.rollout_put(held, 'promoting', null, 10000,
      jsonb_build_object(held.revision, 10000), words, by);
  elsif verb in ('abort', 'rollback') then
    update platform.rollout r set reason = words,
      onward = case verb when 'abort' then 'aborted' else 'rolled_back' end
    where r.id = held.id;
    if held.sequence is null or held.before is null then
      perform platform.rollout_put(held, 'aborted', null, 0, null, words, by);
    else
      perform platform.rollout_put(held, 'rolling_back', null, 0, held.before, words, by);
    end if;
  else
    return 'there is no such order';
  end if;
  return null;
end
$$;

-- Gives a rollout that has just begun all calls at once: its revision has served before.
create function platform.rollout_back(rollout uuid, reason text, by text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  held platform.rollout;
begin
  update platform.rollout r
  set reason = rollout_back.reason, fence = r.fence + 1, held_until = now()
  where r.id = rollout_back.rollout and r.finished_at is null
  returning r.* into held;
  if found then
    perform platform.rollout_put(held, 'promoting', 0, 10000,
      jsonb_build_object(held.revision, 10000), rollout_back.reason, rollout_back.by);
  end if;
end
$$;

-- Forgets what nobody needs: keeps the last revisions of each component, whatever has a share, and
-- what a kept revision consists of. What was pushed an hour ago may be deployed yet.
create function platform.rollout_collect(keep int) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  delete from platform.host h where h.heartbeat_at < now() - interval '5 minutes';
  delete from platform.rollout r
  where r.finished_at < now() - interval '90 days' or r.finished_at is not null and r.id in (
    select o.id from (
      select i.id, row_number() over (partition by i.component order by i.created_at desc) as place
      from platform.rollout i
    ) o where o.place > 50
  );
  delete from platform.traffic_change c
  where c.changed_at < now() - interval '90 days'
    and not exists (select from platform.traffic t where t.sequence = c.sequence);
  delete from platform.revision r using (
    select i.component, i.number,
      row_number() over (partition by i.component order by i.number desc) as place
    from platform.revision i
  ) o
  where r.component = o.component and r.number = o.number and o.place > rollout_collect.keep
    and not exists (
      select from platform.traffic t
      where t.component = r.component and t.weights ? r.number::text
    )
    and not exists (
      select from platform.rollout l
      where l.component = r.component and (l.finished_at is null
        and (l.revision = r.number or l.before ? r.number::text))
    )
    and not exists (
      select from platform.rollout l where l.component = r.component and l.revision = r.number
        and l.created_at > now() - interval '1 day'
    );
  delete from platform.artifact a
  where a.created_at < now() - interval '1 hour'
    and not exists (select from platform.revision r where r.artifact = a.digest);
  delete from platform.blob b
  where b.created_at < now() - interval '1 hour'
    and not exists (
      select from platform.artifact a where b.digest in (a.wasm, a.archive)
    )
    and not exists (select from platform.revision r where r.wasm = b.digest);
end
$$;
