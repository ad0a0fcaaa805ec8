-- Publishing by one function instead of four. Within a transaction, each function that is called
-- sets its search path and makes its expressions ready anew, and a service's commit is little else.

-- As before: a fact, told by the service that calls, for every subscription that wants it. What is
-- due later or has options goes through event_publish, whose order this keeps.
create or replace function platform.publish(
  topic text, id uuid, subject text, tenant_id uuid, payload jsonb, trace text
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  source text;
  queues int[];
  groups text[];
  event_position bigint;
begin
  select s.service into source from platform.service s where s.role = session_user;
  -- The bounds of event_check, which says what is wrong.
  if source is null or (
    length(publish.topic) <= 200
    and publish.topic ~ '^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){2}\.v[1-9][0-9]*$'
    and octet_length(publish.payload::text) <= 262144
    and coalesce(length(publish.subject), 0) <= 255 and coalesce(length(publish.trace), 0) <= 255
    and current_setting('transaction_isolation') = 'read committed'
  ) is not true then
    -- Who calls is asked first: whoever is no service learns nothing about topics and sizes.
    source := platform.caller();
    perform platform.event_check(
      publish.topic, publish.subject, publish.payload, publish.trace);
    -- With one snapshot for the whole transaction, a subscription made since would be missed.
    if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
      perform from platform.queue_epoch for share;
    end if;
  end if;
  -- First the subscriptions, which whoever changes them locks; then the position.
  select array_agg(q.id), array_agg(platform.queue_group(q.ordered_by, q.grouped,
    publish.subject, publish.payload, null))
  into queues, groups
  from (
    select e.id, e.ordered_by, e.grouped from platform.queue e
    where e.topic = publish.topic
      and e.retired_at is null and e.kind = 'subscription' and not e.is_pattern
    union all
    select p.id, p.ordered_by, p.grouped from platform.queue p
    where p.retired_at is null and p.kind = 'subscription' and p.is_pattern
      and platform.topic_matches(p.topic, publish.topic)
  ) q;
  event_position := nextval('platform.event_position');
  insert into platform.event (
    day, position, id, topic, source, subject, tenant_id, payload, trace, published_at
  ) values (
    (now() at time zone 'UTC')::date, event_position, publish.id, publish.topic, source,
    publish.subject, publish.tenant_id, publish.payload, publish.trace, now()
  );
  if queues is null then
    return;
  end if;
  insert into platform.queue_ready (
    slot, priority, queue_id, position, day, attempt, number, ready_at, group_key
  )
  select s.last_value, 0, u.queue_id, event_position, (now() at time zone 'UTC')::date, 0, 0,
    now(), u.group_key
  from unnest(queues, groups) u (queue_id, group_key), platform.queue_ready_slot s;
end
$$;
