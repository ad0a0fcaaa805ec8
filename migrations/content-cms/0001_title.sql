-- Titles, and what is needed to show them. Assets are a projection of what others tell.

-- Whether one of the windows covers an instant in a territory; `*` asks for any territory, and null
-- for one that nobody knows. No windows at all: everywhere and always.
create function content_cms.is_open(rights jsonb, territory text, at timestamptz)
returns boolean language sql stable as $$
  select jsonb_array_length(rights) = 0 or exists (
    select from jsonb_array_elements(rights) w (it)
    where (w.it ->> 'from' is null or (w.it ->> 'from')::timestamptz <= at)
      and (w.it ->> 'until' is null or at < (w.it ->> 'until')::timestamptz)
      and (territory = '*' or w.it -> 'territories' ? '*' or w.it -> 'territories' ? territory)
  )
$$;

create table content_cms.asset (
  tenant_id uuid not null,
  id uuid not null,
  -- Absent while only something else was heard of it.
  owner_id uuid,
  is_playable boolean not null default false,
  is_deleted boolean not null default false,
  package_id uuid,
  duration_ms bigint not null default 0,
  -- Addresses of pictures, as paths of our own origin.
  poster text check (length(poster) <= 2000),
  backdrop text check (length(backdrop) <= 2000),
  -- When it was last said who may play it; the next word about it is later.
  decided_at timestamptz,
  -- Goes up whenever a title begins or ceases to show it, so that two cannot decide at once.
  version bigint not null default 1,
  primary key (tenant_id, id)
);

create table content_cms.title (
  tenant_id uuid not null,
  id uuid not null,
  kind text not null check (kind in ('film', 'episode', 'clip', 'series')),
  owner_id uuid not null,
  slug text not null check (length(slug) between 1 and 80),
  name text not null check (length(name) between 1 and 200),
  synopsis text not null check (length(synopsis) <= 5000),
  tagline text check (length(tagline) <= 200),
  year int check (year between 1850 and 2200),
  language text not null check (length(language) <= 35),
  maturity text not null check (maturity in ('all', '7', '12', '16', '18')),
  -- To be compared with what a profile may see.
  maturity_years int not null
    generated always as (case maturity when 'all' then 0 else maturity::int end) stored,
  genres text[] not null,
  tags text[] not null,
  -- [{role, person}]
  credits jsonb not null,
  asset_id uuid,
  series_id uuid,
  season int check (season between 0 and 1000),
  number int check (number between 1 and 10000),
  state text not null check (state in (
    'draft', 'review', 'scheduled', 'published', 'unpublished', 'archived')),
  -- When a scheduled title is published; as soon as it can be played, where absent.
  publish_at timestamptz,
  unpublish_at timestamptz,
  -- [{territories, from, until}]
  rights jsonb not null,
  -- {<language>: {name, synopsis}}
  localisations jsonb not null,
  -- {poster, backdrop}, where they are not the asset's own pictures.
  artwork jsonb not null,
  -- [{kind, start_ms, end_ms}]
  cues jsonb not null,
  -- What a search looks at, in lower case.
  words text not null,
  -- Viewers see it: what was told to others.
  is_live boolean not null default false,
  -- When viewers saw it first.
  listed_at timestamptz,
  version bigint not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (tenant_id, id),
  constraint title_slug unique (tenant_id, slug),
  constraint title_place unique (tenant_id, series_id, season, number),
  check ((kind = 'episode') = (series_id is not null)),
  check ((series_id is null) = (season is null) and (season is null) = (number is null))
);
create index title_owner on content_cms.title (tenant_id, owner_id, id);
create index title_asset on content_cms.title (tenant_id, asset_id) where asset_id is not null;
create index title_listed_at on content_cms.title (tenant_id, listed_at, id) where is_live;
-- What the minute looks at.
create index title_watched on content_cms.title (tenant_id, id)
  where is_live or state in ('scheduled', 'published');

-- A title with what is known of its asset.
create view content_cms.known as
  select t.tenant_id, t.id, t.kind, t.owner_id, t.owner_id as owner, t.slug, t.name, t.synopsis,
    t.tagline, t.year, t.language, t.maturity, t.genres, t.tags, t.credits, t.asset_id,
    t.asset_id as asset, t.series_id, t.series_id as series, t.season, t.number, t.state,
    t.publish_at, t.unpublish_at, t.rights, t.localisations, t.artwork, t.cues, t.words, t.is_live,
    t.listed_at, t.version, t.created_at, t.updated_at,
    t.kind = 'series' or coalesce(a.is_playable and not a.is_deleted, false) as is_playable,
    coalesce(a.duration_ms, 0) as duration_ms, a.poster, a.backdrop
  from content_cms.title t
    left join content_cms.asset a on a.tenant_id = t.tenant_id and a.id = t.asset_id;

-- Titles of which the minute has something to do: due, run out, or shown otherwise than they
-- should be.
create function content_cms.due(at timestamptz)
returns table (tenant_id uuid, id uuid) language sql stable as $$
  select t.tenant_id, t.id
  from content_cms.known t
    left join content_cms.title s on s.tenant_id = t.tenant_id and s.id = t.series_id
  where (t.is_live or t.state in ('scheduled', 'published')) and (
    t.state = 'scheduled' and t.is_playable and coalesce(t.publish_at, at) <= at
    or t.state in ('scheduled', 'published') and t.unpublish_at <= at
    or t.is_live <> (t.state = 'published' and t.is_playable
      and content_cms.is_open(t.rights, '*', at) and coalesce(s.is_live, true)))
$$;

-- What a viewer sees: titles made for at most so many years of age, where they are.
create function content_cms.shown(tenant uuid, years int, territory text, at timestamptz)
returns table (
  id uuid, slug text, kind text, name text, synopsis text, tagline text, year int, maturity text,
  genres text[], duration_ms bigint, artwork jsonb, poster text, backdrop text, asset uuid,
  series uuid, season int, number int, localisations jsonb, words text, listed_at timestamptz
) language sql stable as $$
  select t.id, t.slug, t.kind, t.name, t.synopsis, t.tagline, t.year, t.maturity, t.genres,
    coalesce(a.duration_ms, 0), t.artwork, a.poster, a.backdrop, t.asset_id, t.series_id, t.season,
    t.number, t.localisations, t.words, t.listed_at
  from content_cms.title t
    left join content_cms.asset a on a.tenant_id = t.tenant_id and a.id = t.asset_id
    left join content_cms.title s on s.tenant_id = t.tenant_id and s.id = t.series_id
  where t.tenant_id = $1 and t.is_live and t.maturity_years <= $2
    and content_cms.is_open(t.rights, $3, $4)
    and (t.series_id is null or s.is_live and s.maturity_years <= $2
      and content_cms.is_open(s.rights, $3, $4))
$$;

create table content_cms.season (
  tenant_id uuid not null,
  series_id uuid not null,
  number int not null check (number between 0 and 1000),
  name text check (length(name) <= 200),
  synopsis text not null default '' check (length(synopsis) <= 5000),
  primary key (tenant_id, series_id, number)
);

-- What happened to a title, and who did it.
create table content_cms.history (
  tenant_id uuid not null,
  id uuid not null,
  title_id uuid not null,
  at timestamptz not null,
  -- A subject or a service; absent once that person is forgotten.
  by_subject text check (length(by_subject) <= 255),
  action text not null check (length(action) <= 40),
  from_state text,
  to_state text not null,
  note text check (length(note) <= 2000),
  -- Names of what was changed.
  fields text[] not null,
  primary key (tenant_id, id)
);
create index history_title on content_cms.history (tenant_id, title_id, id);
create index history_subject on content_cms.history (tenant_id, by_subject)
  where by_subject is not null;

create table content_cms.collection (
  tenant_id uuid not null,
  id uuid not null,
  name text not null check (length(name) between 1 and 200),
  synopsis text not null check (length(synopsis) <= 5000),
  localisations jsonb not null,
  version bigint not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (tenant_id, id)
);

create table content_cms.entry (
  tenant_id uuid not null,
  collection_id uuid not null,
  title_id uuid not null,
  position int not null,
  primary key (tenant_id, collection_id, title_id)
);
create index entry_title on content_cms.entry (tenant_id, title_id);

create table content_cms.page (
  tenant_id uuid not null,
  name text not null check (length(name) between 1 and 60),
  -- [{kind, collection, genre}]
  rows jsonb not null,
  updated_at timestamptz not null,
  primary key (tenant_id, name)
);

-- What holds for a tenant that has said something; who has not, has the defaults of the service.
create table content_cms.settings (
  tenant_id uuid not null,
  review_required boolean not null,
  visitor_maturity text not null check (visitor_maturity in ('all', '7', '12', '16', '18')),
  territory text check (length(territory) = 2),
  territory_header text check (length(territory_header) <= 60),
  updated_at timestamptz not null,
  primary key (tenant_id)
);
