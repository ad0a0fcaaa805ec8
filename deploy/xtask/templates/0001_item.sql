-- The items a tenant has. Nothing is deleted at once: it is archived, then purged.
create table @schema@.item (
    tenant_id uuid not null,
    id uuid not null,
    title text not null check (length(title) between 1 and 120),
    archived_at timestamptz,
    primary key (tenant_id, id)
);
