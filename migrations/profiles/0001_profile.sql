-- Who somebody is to others, and how they like things. What a service must never show is not kept
-- here: addresses and permissions are those of `users`.

create table profiles.profile (
  tenant_id uuid not null,
  user_id uuid not null,
  -- hidden: the account may not be used, so nobody but its owner sees it. erased: nothing is left
  -- but that there was one, so that a late event does not bring it back.
  status text not null default 'active' check (status in ('active', 'hidden', 'erased')),
  -- When the fact behind `status` was told: facts may arrive in another order.
  status_told_at timestamptz not null default 'epoch',
  handle text,
  handle_changed_at timestamptz,
  display_name text check (length(display_name) between 1 and 120),
  bio text check (length(bio) between 1 and 1000),
  avatar_id uuid,
  links jsonb not null default '[]' check (jsonb_array_length(links) <= 10),
  locale text check (length(locale) between 2 and 35),
  time_zone text check (length(time_zone) between 3 and 64),
  visibility jsonb not null default '{}',
  verified_at timestamptz,
  verified_by text,
  preferences jsonb not null default '{}' check (octet_length(preferences::text) <= 32768),
  preferences_version bigint not null default 1,
  version bigint not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (tenant_id, user_id),
  check (status <> 'erased' or (handle is null and display_name is null and bio is null
    and avatar_id is null and links = '[]' and locale is null and time_zone is null
    and verified_at is null and preferences = '{}'))
);
create index profile_avatar on profiles.profile (avatar_id) where avatar_id is not null;

-- Every name that is taken. A former one leads to its owner's present one until it is free again;
-- that of an erased account leads nowhere.
create table profiles.handle (
  tenant_id uuid not null,
  -- Lower case.
  key text not null check (key ~ '^[a-z0-9][a-z0-9_]{1,28}[a-z0-9]$'),
  -- What it looks like at a glance: two names that look alike cannot both be taken.
  skeleton text not null,
  user_id uuid,
  -- Null while it is somebody's present name.
  until timestamptz,
  primary key (tenant_id, key),
  constraint handle_skeleton unique (tenant_id, skeleton),
  check (user_id is not null or until is not null)
);
create index handle_user on profiles.handle (tenant_id, user_id);
create index handle_until on profiles.handle (until) where until is not null;

-- Who belongs together, as `users` told it; the last word about each counts.
create table profiles.membership (
  tenant_id uuid not null,
  user_id uuid not null,
  organisation_id uuid not null,
  belongs boolean not null,
  told_at timestamptz not null,
  primary key (tenant_id, user_id, organisation_id)
);

-- Who watches in a household: at most five.
create table profiles.subprofile (
  tenant_id uuid not null,
  id uuid not null,
  owner_id uuid not null,
  slot int not null check (slot between 1 and 5),
  name text not null check (length(name) between 1 and 40),
  name_key text not null,
  -- One of the pictures that every player has.
  picture text not null check (picture ~ '^[a-z][a-z0-9-]{0,31}$'),
  -- Years of age that the strongest content shown is made for.
  maturity_max int not null check (maturity_max in (0, 6, 12, 16, 18)),
  kid boolean not null,
  language text check (length(language) between 2 and 35),
  pin_hash text,
  -- Wrong PINs since the last right one, and when the next try is looked at.
  pin_failures int not null default 0,
  pin_open_at timestamptz,
  version bigint not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (tenant_id, id),
  constraint subprofile_slot unique (tenant_id, owner_id, slot),
  constraint subprofile_name unique (tenant_id, owner_id, name_key),
  check (not kid or maturity_max <= 12)
);

create function profiles.refuse(reason text) returns void
language plpgsql as $$
begin
  raise exception 'refused: %', reason using errcode = '23514', constraint = reason;
end
$$;

-- Gives somebody a name. At most every 30 days, but for the first one and another spelling of the
-- same; the former one leads to the new one for 90 days. Former names of one's own can be had back.
create function profiles.take_handle(
  tenant uuid, owner uuid, wanted text, wanted_skeleton text, at timestamptz
) returns void
language plpgsql as $$
declare
  own profiles.profile;
  holder profiles.handle;
begin
  insert into profiles.profile (tenant_id, user_id, created_at, updated_at)
    values (tenant, owner, at, at) on conflict do nothing;
  select * into own from profiles.profile p
    where p.tenant_id = tenant and p.user_id = owner for update;
  if own.status = 'erased' then
    perform profiles.refuse('profile_gone');
  end if;
  if lower(own.handle) is distinct from lower(wanted) then
    if own.handle is not null and own.handle_changed_at > at - interval '30 days' then
      perform profiles.refuse('handle_too_soon');
    end if;
    select * into holder from profiles.handle h
      where h.tenant_id = tenant and h.skeleton = wanted_skeleton for update;
    -- A former name whose time is over is free, whether or not it was swept already.
    if found and holder.user_id is distinct from owner
      and (holder.until is null or holder.until > at) then
      perform profiles.refuse('handle_taken');
    end if;
    delete from profiles.handle h where h.tenant_id = tenant and h.skeleton = wanted_skeleton;
    update profiles.handle h set until = at + interval '90 days'
      where h.tenant_id = tenant and h.user_id = owner and h.until is null;
    insert into profiles.handle (tenant_id, key, skeleton, user_id)
      values (tenant, lower(wanted), wanted_skeleton, owner);
  end if;
  update profiles.profile p set handle = wanted, version = p.version + 1, updated_at = at,
    handle_changed_at = case when lower(own.handle) = lower(wanted) then p.handle_changed_at
      else at end
    where p.tenant_id = tenant and p.user_id = owner;
end
$$;

-- Forgets a person. Their names stay taken for 90 days, so that nobody is mistaken for them.
create function profiles.erase(tenant uuid, owner uuid, at timestamptz) returns void
language plpgsql as $$
begin
  insert into profiles.profile (tenant_id, user_id, created_at, updated_at)
    values (tenant, owner, at, at) on conflict do nothing;
  update profiles.profile p set status = 'erased', status_told_at = at, handle = null,
    handle_changed_at = null, display_name = null, bio = null, avatar_id = null, links = '[]',
    locale = null, time_zone = null, visibility = '{}', verified_at = null, verified_by = null,
    preferences = '{}', version = p.version + 1, updated_at = at
    where p.tenant_id = tenant and p.user_id = owner and p.status <> 'erased';
  update profiles.handle h set user_id = null,
    until = greatest(coalesce(h.until, at), at + interval '90 days')
    where h.tenant_id = tenant and h.user_id = owner;
  delete from profiles.subprofile s where s.tenant_id = tenant and s.owner_id = owner;
  delete from profiles.membership m where m.tenant_id = tenant and m.user_id = owner;
end
$$;

-- Whether a name is one of the time zone database.
create function profiles.is_time_zone(zone text) returns boolean
language plpgsql stable as $$
begin
  perform now() at time zone zone;
  return true;
exception when invalid_parameter_value then
  return false;
end
$$;
