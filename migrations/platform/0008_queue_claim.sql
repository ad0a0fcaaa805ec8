-- Claims that need not read over what was claimed before, and an inbox that fails where an event
-- was accepted before: one statement can then accept it and act on it.
--
-- An old snapshot keeps every dead row of a slot, and each claim would look at all of them again.
-- Who claims remembers how far it has come and begins there, in the index; now and then it looks
-- through everything, for what has come in behind: late commits, retries, released messages.

-- The host's: as queue_claim, of stretches of a queue only, in their order: priorities from `highs`
-- down to `lows`, positions from `starts` on. Where the two are equal nothing before the start is
-- read. Stretches of a queue must not overlap, and come highest priority first.
create function platform.queue_claim_from(
  queues int[], mosts int[], worker text, lease_ms bigint,
  stretch_queues int[], highs smallint[], lows smallint[], starts bigint[]
)
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
    select q.id, w.most, q.wall_ms, coalesce(queue_claim_from.lease_ms, q.lease_ms) as lease_ms
    from unnest(queue_claim_from.queues, queue_claim_from.mosts) w (id, most)
    join platform.queue q on q.id = w.id
    where q.paused_at is null and w.most > 0
  ), picked as materialized (
    select r.slot, r.queue_id, r.priority, r.position, w.wall_ms, w.lease_ms
    from wanted w cross join lateral (
      select f.slot, f.queue_id, f.priority, f.position
      from unnest(
        queue_claim_from.stretch_queues, queue_claim_from.highs, queue_claim_from.lows,
        queue_claim_from.starts
      ) g (queue_id, high, low, start)
      cross join lateral (
        -- Two of a kind, because only with one priority is the position where a scan begins.
        select * from (
          select e.slot, e.queue_id, e.priority, e.position from platform.queue_ready e
          where g.high = g.low and e.queue_id = g.queue_id and e.priority = g.high
            and e.position >= g.start and e.group_key is null
          order by e.position limit w.most for update skip locked
        ) one
        union all
        select * from (
          select e.slot, e.queue_id, e.priority, e.position from platform.queue_ready e
          where g.high > g.low and e.queue_id = g.queue_id and e.priority <= g.high
            and e.priority >= g.low and e.position >= g.start and e.group_key is null
          order by e.priority desc, e.position limit w.most for update skip locked
        ) several
      ) f
      where g.queue_id = w.id
      limit w.most
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
      g.at + make_interval(secs => g.wall_ms / 1000.0), queue_claim_from.worker, g.group_key,
      g.errors
    from gone g, platform.queue_lease_slot s
    returning l.*
  )
  select l.queue_id, l.position, l.number, l.attempt, l.priority, l.group_key::text, l.claimed_at,
    l.expires_at, l.deadline, l.ready_at, e.id, e.topic, e.source, e.subject, e.tenant_id,
    e.payload::text, e.trace, e.published_at
  from leased l join platform.event e on e.position = l.position and e.day = l.day;
end
$$;

-- As before: everything of each queue.
create or replace function platform.queue_claim(
  queues int[], mosts int[], worker text, lease_ms bigint
)
returns table (
  queue_id int, "position" bigint, number int, attempt int, priority smallint, group_key text,
  claimed_at timestamptz, expires_at timestamptz, deadline timestamptz, ready_at timestamptz,
  id uuid, topic text, source text, subject text, tenant_id uuid, payload text, trace text,
  published_at timestamptz
)
language sql set search_path = pg_catalog, pg_temp
begin atomic
  select c.* from (
    select array_agg(32767::smallint) as highs, array_agg((-32768)::smallint) as lows,
      array_agg(0::bigint) as starts
    from unnest(queue_claim.queues)
  ) every cross join lateral platform.queue_claim_from(
    queue_claim.queues, queue_claim.mosts, queue_claim.worker, queue_claim.lease_ms,
    queue_claim.queues, every.highs, every.lows, every.starts) c;
end;

-- As inbox_accept, but fails where the event was accepted before, with the constraint's name
-- event_accepted_before: whatever stands in the same statement or transaction is undone with it.
create function platform.inbox_take(event_id uuid, consumer text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not platform.inbox_accept(inbox_take.event_id, inbox_take.consumer) then
    raise exception 'event % was accepted before', inbox_take.event_id
      using errcode = '23505', constraint = 'event_accepted_before';
  end if;
end
$$;
grant execute on function platform.inbox_take(uuid, text) to public;
