-- Relations between things: who has which relation to what, said directly or by way of others.

-- What the relations of a kind of object mean; see relations/model.rs of the service.
create table users.relation_model (
  tenant_id uuid not null,
  kind text not null check (kind ~ '^[a-z][a-z0-9_-]{0,62}$'),
  relations jsonb not null check (octet_length(relations::text) <= 32768),
  version bigint not null default 1,
  updated_at timestamptz not null,
  updated_by text not null,
  primary key (tenant_id, kind)
);

-- object#relation@subject, or object#relation@subject#subject_relation: all who have that.
create table users.relation (
  tenant_id uuid not null,
  object_kind text not null check (length(object_kind) between 1 and 63),
  object_id text not null check (length(object_id) between 1 and 128),
  relation text not null check (length(relation) between 1 and 63),
  subject_kind text not null check (length(subject_kind) between 1 and 63),
  subject_id text not null check (length(subject_id) between 1 and 128),
  -- Empty for the subject itself.
  subject_relation text not null default '' check (length(subject_relation) <= 63),
  created_at timestamptz not null,
  created_by text not null,
  primary key (
    tenant_id, object_kind, object_id, relation, subject_kind, subject_id, subject_relation)
);
create index relation_subject on users.relation (
  tenant_id, subject_kind, subject_id, subject_relation);
