-- Files on their way here, what has arrived of each, and who holds how much.

-- Names a refusal of the service.
create function uploader.refuse(reason text) returns void
language plpgsql as $$
begin
  raise exception 'refused: %', reason using errcode = '23514', constraint = reason;
end
$$;

-- Stands for the tenant as a whole among its owners.
create function uploader.everybody() returns uuid
language sql immutable as $$ select '00000000-0000-0000-0000-000000000000'::uuid $$;

-- What an owner holds, and what is promised to uploads that are not finished. Bytes, all of them.
create table uploader.account (
  tenant_id uuid not null,
  owner_id uuid not null,
  -- What this owner may hold; null is what everybody may. The tenant's bound is told by `users`.
  bytes_max bigint check (bytes_max >= 0),
  used bigint not null default 0 check (used >= 0),
  reserved bigint not null default 0 check (reserved >= 0),
  primary key (tenant_id, owner_id)
);

-- A file as the store holds it, once for all uploads of one owner that are the same bytes.
create table uploader.content (
  tenant_id uuid not null,
  id uuid not null,
  owner_id uuid not null,
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  key text not null,
  bytes bigint not null check (bytes >= 0),
  media_type text not null,
  -- `clean`, or `not_scanned` where nobody looks.
  scan text not null check (scan in ('clean', 'not_scanned')),
  -- Uploads that stand for it.
  links int not null default 1 check (links > 0),
  created_at timestamptz not null,
  primary key (tenant_id, id),
  constraint content_of_owner unique (tenant_id, owner_id, sha256)
);

create table uploader.upload (
  tenant_id uuid not null,
  id uuid not null,
  owner_id uuid not null,
  -- `resumable`: tus. `direct`: past us, by a signed URL.
  way text not null check (way in ('resumable', 'direct', 'direct_parts')),
  kind text not null default 'whole' check (kind in ('whole', 'partial', 'final')),
  -- received: all bytes are durable, and what they are is not decided yet.
  state text not null default 'receiving' check (state in (
    'receiving', 'received', 'completed', 'rejected')),
  -- Null until a client says it.
  length bigint check (length >= 0),
  received bigint not null default 0 check (received >= 0),
  reserved bigint not null default 0 check (reserved >= 0),
  part_bytes bigint not null check (part_bytes >= 5242880),
  -- As the client sent it, to be told back.
  metadata_line text not null default '',
  metadata jsonb not null default '{}',
  file_name text not null,
  purpose text not null,
  -- Of a final upload: what it is made of, in order.
  partials text[] not null default '{}',
  -- What the bytes are; null until enough are here.
  media_type text,
  reason text,
  -- Of all bytes up to `received`: the digest's state, then the digest.
  hash_state bytea,
  sha256 text,
  -- What a direct upload must hash to.
  expected_sha256 text check (expected_sha256 ~ '^[0-9a-f]{64}$'),
  multipart text,
  next_part int not null default 1,
  scan text,
  content_id uuid,
  -- Whoever writes to it now, by the database's own clock: a host that dies lets go by that.
  holder uuid,
  held_until timestamptz,
  -- Somebody waits for the holder to let go.
  wanted_at timestamptz,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  completed_at timestamptz,
  expires_at timestamptz,
  primary key (tenant_id, id),
  check ((state = 'completed') = (completed_at is not null)),
  check (received <= length)
);
create index upload_of_owner on uploader.upload (tenant_id, owner_id, created_at desc, id);
create index upload_expires on uploader.upload (expires_at) where expires_at is not null;
create index upload_unsettled on uploader.upload (updated_at)
  where state = 'received' or (kind = 'final' and state = 'receiving');

-- Parts in the store, in order; together with `tail` they are the first `received` bytes.
create table uploader.part (
  tenant_id uuid not null,
  upload_id uuid not null,
  number int not null check (number between 1 and 10000),
  etag text not null,
  bytes bigint not null,
  primary key (tenant_id, upload_id, number),
  foreign key (tenant_id, upload_id) references uploader.upload on delete cascade
);

-- What came after the last part and is less than one. Rows and not objects: bytes and the offset
-- that says they are safe become durable by the same commit.
create table uploader.tail (
  tenant_id uuid not null,
  upload_id uuid not null,
  starts bigint not null,
  bytes bytea not null,
  primary key (tenant_id, upload_id, starts),
  foreign key (tenant_id, upload_id) references uploader.upload on delete cascade
);
-- Media does not get smaller by compressing it again.
alter table uploader.tail alter column bytes set storage external;

-- What must go from the store, written in the commit that makes it superfluous.
create table uploader.removal (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null,
  key text not null,
  multipart text,
  due_at timestamptz not null
);
create index removal_due on uploader.removal (due_at);

-- Promises bytes, or violates `quota_tenant` or `quota_owner`. A null bound does not bound.
create function uploader.reserve(
  tenant uuid, owner uuid, bytes bigint, owner_max bigint, tenant_max bigint
) returns void
language plpgsql as $$
declare
  whole uploader.account;
  own uploader.account;
begin
  insert into uploader.account (tenant_id, owner_id)
  values (tenant, uploader.everybody()), (tenant, owner)
  on conflict do nothing;
  -- Always the tenant before the owner, so that nobody waits for each other.
  update uploader.account a set reserved = a.reserved + bytes
  where a.tenant_id = tenant and a.owner_id = uploader.everybody()
  returning a.* into whole;
  update uploader.account a set reserved = a.reserved + bytes
  where a.tenant_id = tenant and a.owner_id = owner
  returning a.* into own;
  if whole.used + whole.reserved > tenant_max then
    perform uploader.refuse('quota_tenant');
  end if;
  if own.used + own.reserved > coalesce(own.bytes_max, owner_max) then
    perform uploader.refuse('quota_owner');
  end if;
end
$$;

-- Books what a promise has become.
create function uploader.settle(tenant uuid, owner uuid, promised bigint, kept bigint)
returns void
language plpgsql as $$
begin
  update uploader.account a set reserved = a.reserved - promised, used = a.used + kept
  where a.tenant_id = tenant and a.owner_id = uploader.everybody();
  update uploader.account a set reserved = a.reserved - promised, used = a.used + kept
  where a.tenant_id = tenant and a.owner_id = owner;
end
$$;

-- Makes what has arrived durable: parts that are in the store, bytes that are not, and up to where
-- they reach. Violates `upload_lock` when the writer is not the holder any more.
create function uploader.keep(
  tenant uuid, upload uuid, writer uuid, reaches bigint, hash bytea, digest text,
  numbers int[], etags text[], sizes bigint[], tail_starts bigint, tail bytea,
  multipart_id text, following_part int, found_type text, lets_go boolean, lease_seconds int,
  owner_max bigint, tenant_max bigint, at timestamptz, expires timestamptz
) returns void
language plpgsql as $$
declare
  kept uploader.upload;
  more bigint;
begin
  update uploader.upload u
  set received = reaches, hash_state = hash, sha256 = digest,
      multipart = coalesce(multipart_id, u.multipart), next_part = following_part,
      media_type = coalesce(found_type, u.media_type),
      state = case when u.length = reaches then 'received' else u.state end,
      holder = case when lets_go then null else u.holder end,
      held_until = clock_timestamp() + make_interval(secs => lease_seconds),
      updated_at = at, expires_at = expires
  where u.tenant_id = tenant and u.id = upload and u.holder = writer and u.state = 'receiving'
  returning u.* into kept;
  if not found then
    perform uploader.refuse('upload_lock');
  end if;
  if cardinality(numbers) > 0 then
    insert into uploader.part (tenant_id, upload_id, number, etag, bytes)
    select tenant, upload, p.number, p.etag, p.size
    from unnest(numbers, etags, sizes) as p (number, etag, size);
    delete from uploader.tail t where t.tenant_id = tenant and t.upload_id = upload;
  end if;
  if tail is not null then
    insert into uploader.tail (tenant_id, upload_id, starts, bytes)
    values (tenant, upload, tail_starts, tail);
  end if;
  -- A client that does not say how long it will be is counted as it comes.
  more := reaches - kept.reserved;
  if kept.length is null and more > 0 then
    perform uploader.reserve(tenant, kept.owner_id, more, owner_max, tenant_max);
    update uploader.upload u set reserved = reaches where u.tenant_id = tenant and u.id = upload;
  end if;
end
$$;

-- The file is here: `content` is what it is from now on, new where `key` is given. Violates
-- `content_of_owner` when the same bytes came in between, `content_gone` when they went, and
-- `upload_lock`. What a final upload was made of goes with it.
create function uploader.complete(
  tenant uuid, upload uuid, writer uuid, content uuid, object_key text, digest text,
  found_type text, verdict text, at timestamptz
) returns void
language plpgsql as $$
declare
  done uploader.upload;
  piece uploader.upload;
begin
  update uploader.upload u
  set state = 'completed', received = u.length, sha256 = digest, media_type = found_type,
      scan = verdict, content_id = content, holder = null, held_until = null, hash_state = null,
      expires_at = null, completed_at = at, updated_at = at
  where u.tenant_id = tenant and u.id = upload and u.holder = writer
    and u.state in ('receiving', 'received')
  returning u.* into done;
  if not found then
    perform uploader.refuse('upload_lock');
  end if;
  if object_key is not null then
    insert into uploader.content (
      tenant_id, id, owner_id, sha256, key, bytes, media_type, scan, created_at
    ) values (
      tenant, content, done.owner_id, digest, object_key, done.length, found_type, verdict, at
    );
    perform uploader.clear_incoming(tenant, done, at);
  else
    update uploader.content c set links = c.links + 1
    where c.tenant_id = tenant and c.id = content and c.owner_id = done.owner_id;
    if not found then
      perform uploader.refuse('content_gone');
    end if;
    perform uploader.clear(tenant, done, at);
  end if;
  perform uploader.settle(
    tenant, done.owner_id, done.reserved,
    case when object_key is null then 0 else done.length end);
  update uploader.upload u set reserved = 0 where u.tenant_id = tenant and u.id = upload;
  delete from uploader.part p where p.tenant_id = tenant and p.upload_id = upload;
  delete from uploader.tail t where t.tenant_id = tenant and t.upload_id = upload;
  for piece in
    delete from uploader.upload u
    where u.tenant_id = tenant and u.id = any(done.partials::uuid[]) and u.kind = 'partial'
      and u.owner_id = done.owner_id
    returning u.*
  loop
    perform uploader.settle(tenant, piece.owner_id, piece.reserved, 0);
    insert into uploader.removal (tenant_id, key, due_at)
    values (tenant, 'uploads/' || piece.id, at);
  end loop;
end
$$;

-- A piece of a later upload is whole. It stays promised, and is no content of its own.
create function uploader.complete_partial(
  tenant uuid, upload uuid, writer uuid, at timestamptz
) returns void
language plpgsql as $$
begin
  update uploader.upload u
  set state = 'completed', received = u.length, holder = null, held_until = null,
      hash_state = null, completed_at = at, updated_at = at
  where u.tenant_id = tenant and u.id = upload and u.holder = writer and u.kind = 'partial'
    and u.state in ('receiving', 'received');
  if not found then
    perform uploader.refuse('upload_lock');
  end if;
  delete from uploader.part p where p.tenant_id = tenant and p.upload_id = upload;
  delete from uploader.tail t where t.tenant_id = tenant and t.upload_id = upload;
end
$$;

-- A file that is not taken: the row says why, for as long as `expires`; nothing of it is kept.
create function uploader.reject(
  tenant uuid, upload uuid, writer uuid, word text, at timestamptz, expires timestamptz
) returns void
language plpgsql as $$
declare
  refused uploader.upload;
begin
  update uploader.upload u
  set state = 'rejected', reason = word, holder = null, held_until = null, hash_state = null,
      updated_at = at, expires_at = expires
  where u.tenant_id = tenant and u.id = upload and u.holder = writer
    and u.state in ('receiving', 'received')
  returning u.* into refused;
  if not found then
    perform uploader.refuse('upload_lock');
  end if;
  perform uploader.settle(tenant, refused.owner_id, refused.reserved, 0);
  update uploader.upload u set reserved = 0 where u.tenant_id = tenant and u.id = upload;
  perform uploader.clear(tenant, refused, at);
end
$$;

-- Orders to remove whatever the store may hold of an upload that is no content.
create function uploader.clear(tenant uuid, gone uploader.upload, at timestamptz)
returns void
language plpgsql as $$
begin
  insert into uploader.removal (tenant_id, key, multipart, due_at)
  values (tenant, 'uploads/' || gone.id, gone.multipart, at);
  perform uploader.clear_incoming(tenant, gone, at);
  delete from uploader.part p where p.tenant_id = tenant and p.upload_id = gone.id;
  delete from uploader.tail t where t.tenant_id = tenant and t.upload_id = gone.id;
end
$$;

-- What came by a signed URL goes now, and again when the URL is worth nothing any more.
create function uploader.clear_incoming(tenant uuid, gone uploader.upload, at timestamptz)
returns void
language sql as $$
  insert into uploader.removal (tenant_id, key, due_at)
  select tenant, 'incoming/' || gone.id, due
  from unnest(array[at, greatest(at, gone.created_at + interval '25 hours')]) as due
  where gone.way = 'direct'
$$;

-- Forgets an upload, whatever it is: its promise, its bytes, and its content when no other upload
-- stands for it. Violates `upload_held` while somebody writes to it.
create function uploader.forget(tenant uuid, upload uuid, at timestamptz) returns void
language plpgsql as $$
declare
  gone uploader.upload;
  rest uploader.content;
begin
  select * into gone from uploader.upload u
  where u.tenant_id = tenant and u.id = upload for update;
  if not found then
    return;
  end if;
  if gone.holder is not null and gone.held_until > clock_timestamp() then
    perform uploader.refuse('upload_held');
  end if;
  delete from uploader.upload u where u.tenant_id = tenant and u.id = upload;
  if gone.content_id is null then
    perform uploader.settle(tenant, gone.owner_id, gone.reserved, 0);
    if gone.state <> 'rejected' then
      perform uploader.clear(tenant, gone, at);
    end if;
    return;
  end if;
  update uploader.content c set links = c.links - 1
  where c.tenant_id = tenant and c.id = gone.content_id and c.links > 1;
  if found then
    return;
  end if;
  delete from uploader.content c
  where c.tenant_id = tenant and c.id = gone.content_id
  returning c.* into rest;
  if found then
    perform uploader.settle(tenant, rest.owner_id, 0, -rest.bytes);
    insert into uploader.removal (tenant_id, key, due_at) values (tenant, rest.key, at);
  end if;
end
$$;
