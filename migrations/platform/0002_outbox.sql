-- Facts that services publish, written in the transaction that makes them true. The queue reads
-- this table; a service only ever writes it, through platform.publish.

create table platform.outbox (
  -- Order of writing. Not order of commit: a reader that must not miss a row stays below the
  -- oldest transaction still running (pg_snapshot_xmin of pg_current_snapshot()).
  position bigint generated always as identity primary key,
  xid xid8 not null default pg_current_xact_id(),
  id uuid not null unique,
  topic text not null,
  source text not null,
  subject text,
  tenant_id uuid,
  payload jsonb not null,
  trace text,
  published_at timestamptz not null default now()
);

create function platform.publish(
  topic text, id uuid, subject text, tenant_id uuid, payload jsonb, trace text
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- Every subscriber is handed the whole payload; what is larger belongs into an object store.
  payload_bytes_max constant int := 262144;
  -- Asked first: whoever is no service learns nothing about topics and sizes.
  source text := platform.caller();
begin
  if publish.topic is null or length(publish.topic) > 200
    or publish.topic !~ '^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){2}\.v[1-9][0-9]*$' then
    raise exception 'topic % is not context.entity.past_tense.vN', publish.topic
      using errcode = '22023';
  end if;
  if octet_length(publish.payload::text) > payload_bytes_max then
    raise exception 'a payload takes at most % bytes', payload_bytes_max using errcode = '54000';
  end if;
  if length(publish.subject) > 255 or length(publish.trace) > 255 then
    raise exception 'subject and trace take at most 255 characters' using errcode = '22001';
  end if;
  insert into platform.outbox (id, topic, source, subject, tenant_id, payload, trace)
  values (
    publish.id, publish.topic, source, publish.subject, publish.tenant_id, publish.payload,
    publish.trace
  );
end
$$;
grant execute on function platform.publish(text, uuid, text, uuid, jsonb, text) to public;

-- Which events a consumer has acted on, written in the transaction of that act.
create table platform.inbox (
  service text not null,
  consumer text not null,
  event_id uuid not null,
  accepted_at timestamptz not null default now(),
  primary key (service, consumer, event_id)
);
create index inbox_accepted_at on platform.inbox (accepted_at);

-- False when the event was accepted before. A second delivery at the same time waits here until
-- the first has committed or failed.
create function platform.inbox_accept(event_id uuid, consumer text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if consumer is null or length(consumer) not between 1 and 255 then
    raise exception 'a consumer takes 1 to 255 characters' using errcode = '22023';
  end if;
  insert into platform.inbox (service, consumer, event_id)
  values (platform.caller(), inbox_accept.consumer, inbox_accept.event_id)
  on conflict on constraint inbox_pkey do nothing;
  return found;
end
$$;
grant execute on function platform.inbox_accept(uuid, text) to public;
