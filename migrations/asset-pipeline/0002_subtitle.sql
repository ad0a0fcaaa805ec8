-- Subtitles, as clean WebVTT. They belong to the asset, and lie beside the tracks of each package
-- that is played.

create table asset_pipeline.subtitle (
  tenant_id uuid not null,
  asset_id uuid not null,
  language text not null check (length(language) between 2 and 35),
  -- Of the text; a part of its object's name.
  digest text not null check (length(digest) = 16),
  source_format text not null check (source_format in ('srt', 'vtt')),
  encoding text not null check (encoding in ('utf8', 'utf16', 'latin-1')),
  cues int not null,
  bytes bigint not null,
  last_ms bigint not null,
  vtt text not null,
  updated_at timestamptz not null,
  primary key (tenant_id, asset_id, language)
);

-- What was put into which package.
create table asset_pipeline.placed_text (
  tenant_id uuid not null,
  package_id uuid not null,
  language text not null,
  digest text not null,
  asset_id uuid not null,
  primary key (tenant_id, package_id, language, digest)
);
create index placed_text_asset on asset_pipeline.placed_text (tenant_id, asset_id);

-- Assets whose packages hold other texts than they should.
create view asset_pipeline.misplaced_text as
  with played as (
    select r.tenant_id, r.asset_id, r.package_id
    from asset_pipeline.run r
      join asset_pipeline.asset a on a.tenant_id = r.tenant_id and a.id = r.asset_id
    where r.retired_at is null and a.state <> 'deleted'
      and (r.state in ('running', 'succeeded') or r.package_id = a.package_id)
  )
  select s.tenant_id, s.asset_id
  from asset_pipeline.subtitle s
    join played p on p.tenant_id = s.tenant_id and p.asset_id = s.asset_id
  where not exists (
    select from asset_pipeline.placed_text t
    where t.tenant_id = s.tenant_id and t.package_id = p.package_id
      and t.language = s.language and t.digest = s.digest
  )
  union
  select t.tenant_id, t.asset_id
  from asset_pipeline.placed_text t
    join played p on p.tenant_id = t.tenant_id and p.package_id = t.package_id
  where not exists (
    select from asset_pipeline.subtitle s
    where s.tenant_id = t.tenant_id and s.asset_id = t.asset_id
      and s.language = t.language and s.digest = t.digest
  );
