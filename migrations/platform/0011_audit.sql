-- Who operates the platform, and what they did. The journal is a chain: the hash of an entry covers
-- its text and the hash of the one before, so that what was changed or taken out is found by
-- reading it from the beginning. Its text is canonical JSON (keys sorted, no spaces), kept as it
-- was hashed; what is looked for stands beside it in columns that are made from it.

create table platform.audit (
  position bigint primary key check (position > 0),
  entry text not null check (octet_length(entry) <= 65536),
  -- SHA-256 of the hash before and this entry's bytes; before the first stand 32 zeros.
  hash bytea not null check (octet_length(hash) = 32),
  at text generated always as (entry::jsonb ->> 'at') stored,
  actor text generated always as (entry::jsonb ->> 'actor') stored,
  action text generated always as (entry::jsonb ->> 'action') stored,
  subject text generated always as (entry::jsonb ->> 'subject') stored,
  outcome text generated always as (entry::jsonb ->> 'outcome') stored
);
create index audit_actor on platform.audit (actor, position);
create index audit_action on platform.audit (action, position);
create index audit_subject on platform.audit (subject, position);

-- The end of the chain. Whoever appends holds this row until the entry is committed: so positions
-- have no gaps and no two entries the same one before, however many hosts there are.
create table platform.audit_head (
  one boolean primary key default true check (one),
  position bigint not null,
  hash bytea not null check (octet_length(hash) = 32)
);
insert into platform.audit_head (position, hash) values (0, decode(repeat('00', 32), 'hex'));

create function platform.audit_stays() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'the journal is only written on: nothing in it is changed or taken out'
    using errcode = 'restrict_violation';
end
$$;
create trigger audit_stays before update or delete on platform.audit
  for each row execute function platform.audit_stays();
create trigger audit_is_not_emptied before truncate on platform.audit
  for each statement execute function platform.audit_stays();
create trigger audit_head_stays before delete on platform.audit_head
  for each row execute function platform.audit_stays();
create trigger audit_head_is_not_emptied before truncate on platform.audit_head
  for each statement execute function platform.audit_stays();

create function platform.audit_head_goes_on() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if new.position <> old.position + 1 or not exists (
    select from platform.audit a where a.position = new.position and a.hash = new.hash
  ) then
    raise exception 'the end of the journal is its last entry' using errcode = 'restrict_violation';
  end if;
  return new;
end
$$;
create trigger audit_head_goes_on before update on platform.audit_head
  for each row execute function platform.audit_head_goes_on();

-- Writes the next entry and says where it stands. No service may: nothing here is granted to
-- anybody but the owner.
create function platform.audit_append(entry text) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  head platform.audit_head;
begin
  select * into strict head from platform.audit_head for update;
  head.position := head.position + 1;
  head.hash := sha256(head.hash || convert_to(audit_append.entry, 'UTF8'));
  insert into platform.audit (position, entry, hash)
  values (head.position, audit_append.entry, head.hash);
  update platform.audit_head h set position = head.position, hash = head.hash;
  return head.position;
end
$$;
revoke execute on function platform.audit_append(text) from public;

-- Operators besides root, who is whoever holds NEXUS_ADMIN_TOKEN. Of a token only its digest is
-- kept.
create table platform.operator (
  name text primary key check (name ~ '^[a-z][a-z0-9._-]{0,62}$' and name <> 'root'),
  role text not null check (role in ('viewer', 'operator', 'admin')),
  digest bytea not null unique check (octet_length(digest) = 32),
  created_at timestamptz not null default now(),
  created_by text not null check (length(created_by) between 1 and 200),
  last_used_at timestamptz
);
