-- Answers to requests that carried an Idempotency-Key, so that a repeated request gets the answer
-- of the first. Claim and answer are written in the transaction of the change itself.

create table platform.idempotency (
  service text not null,
  tenant_id uuid not null,
  -- Who asked: one caller's keys are nothing to another.
  subject text not null,
  key text not null,
  -- What was asked: method, path and body, hashed by the caller.
  fingerprint text not null,
  status int,
  headers jsonb,
  body bytea,
  expires_at timestamptz not null default now() + interval '24 hours',
  primary key (service, tenant_id, subject, key),
  check (length(subject) <= 255 and length(key) between 1 and 255 and length(fingerprint) <= 255)
);
create index idempotency_expires_at on platform.idempotency (expires_at);

-- The row of a key, if it is known and not expired; without a status, its answer is not yet there.
create function platform.idempotency_find(tenant_id uuid, subject text, key text)
returns table (fingerprint text, status int, headers jsonb, body bytea)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select i.fingerprint, i.status, i.headers, i.body
    from platform.idempotency i
    where i.service = platform.caller()
      and i.tenant_id = idempotency_find.tenant_id
      and i.subject = idempotency_find.subject
      and i.key = idempotency_find.key
      and i.expires_at > now();
end
$$;
grant execute on function platform.idempotency_find(uuid, text, text) to public;

-- Takes a key for this transaction. NX409 when it is taken; a request that comes at the same time
-- waits until the first has committed (NX409) or failed (it takes the key).
create function platform.idempotency_claim(
  tenant_id uuid, subject text, key text, fingerprint text
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into platform.idempotency as i (service, tenant_id, subject, key, fingerprint)
  values (
    platform.caller(), idempotency_claim.tenant_id, idempotency_claim.subject,
    idempotency_claim.key, idempotency_claim.fingerprint
  )
  on conflict on constraint idempotency_pkey do update
    set fingerprint = excluded.fingerprint, expires_at = excluded.expires_at,
        status = null, headers = null, body = null
    where i.expires_at <= now();
  if not found then
    raise exception 'the key was used before' using errcode = 'NX409';
  end if;
end
$$;
grant execute on function platform.idempotency_claim(uuid, text, text, text) to public;

-- Keeps the answer of a key that was claimed and has none.
create function platform.idempotency_store(
  tenant_id uuid, subject text, key text, status int, headers jsonb, body bytea
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if idempotency_store.status is null or idempotency_store.status not between 100 and 599 then
    raise exception '% is no HTTP status', idempotency_store.status using errcode = '22023';
  end if;
  if octet_length(idempotency_store.body) > 1048576
    or octet_length(idempotency_store.headers::text) > 65536 then
    raise exception 'an answer kept for a key takes at most 1 MiB' using errcode = '54000';
  end if;
  update platform.idempotency i
  set status = idempotency_store.status, headers = idempotency_store.headers,
      body = idempotency_store.body
  where i.service = platform.caller()
    and i.tenant_id = idempotency_store.tenant_id
    and i.subject = idempotency_store.subject
    and i.key = idempotency_store.key
    and i.status is null;
  if not found then
    raise exception 'the key is not claimed, or answered already' using errcode = 'P0002';
  end if;
end
$$;
grant execute on function platform.idempotency_store(uuid, text, text, int, jsonb, bytea) to public;

-- The host's: forgets expired answers, and accepted events older than any redelivery. At most
-- rows_max rows of each, so that no run holds up others; returns how many went.
create function platform.purge_expired(rows_max int default 10000) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  answers bigint;
  events bigint;
begin
  delete from platform.idempotency where ctid = any (array(
    select ctid from platform.idempotency where expires_at <= now() limit rows_max
  ));
  get diagnostics answers = row_count;
  delete from platform.inbox where ctid = any (array(
    select ctid from platform.inbox where accepted_at < now() - interval '30 days' limit rows_max
  ));
  get diagnostics events = row_count;
  return answers + events;
end
$$;
