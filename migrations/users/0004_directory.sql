-- Accounts and groups as a directory sees them (SCIM 2.0, RFC 7643): documents that filters are
-- asked of, and the changes that a directory makes.

-- An instant as all documents write it, so that instants compare as texts.
create function users.instant(at timestamptz) returns text
language sql stable return to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');

-- Without addresses (`location`, `$ref`), which depend on where the service is reached.
create function users.scim_user(a users.account) returns jsonb
language sql stable as $$
  select jsonb_strip_nulls(a.attributes || jsonb_build_object(
    'id', a.id,
    'externalId', a.external_id,
    'userName', a.user_name,
    'displayName', a.display_name,
    'locale', coalesce(a.locale, a.attributes ->> 'locale'),
    -- A directory may have taken the word back.
    'active', case when a.status in ('active', 'invited')
      then case when not a.attributes ? 'active' then true end
      else false end,
    -- The address is kept beside what a directory knows; both change by themselves.
    'emails', case
      when a.email is null or exists (
        select from jsonb_array_elements(a.attributes -> 'emails') e
        where lower(e ->> 'value') = a.email
      ) then a.attributes -> 'emails'
      else jsonb_build_array(jsonb_build_object('value', a.email, 'primary', true))
    end,
    'groups', (
      select jsonb_agg(
        jsonb_build_object('value', g.id, 'display', g.display_name, 'type', 'direct')
        order by g.id)
      from users.group_member m
      join users.directory_group g on g.tenant_id = m.tenant_id and g.id = m.group_id
      where m.tenant_id = a.tenant_id and m.user_id = a.id
    ),
    'meta', jsonb_build_object(
      'resourceType', 'User', 'created', users.instant(a.created_at),
      'lastModified', users.instant(a.updated_at), 'version', '"' || a.version || '"')
  ))
$$;

create function users.scim_group(g users.directory_group) returns jsonb
language sql stable as $$
  select jsonb_strip_nulls(jsonb_build_object(
    'id', g.id,
    'externalId', g.external_id,
    'displayName', g.display_name,
    'members', (
      select jsonb_agg(jsonb_build_object('value', m.user_id, 'type', 'User') order by m.user_id)
      from users.group_member m
      where m.tenant_id = g.tenant_id and m.group_id = g.id
    ),
    'meta', jsonb_build_object(
      'resourceType', 'Group', 'created', users.instant(g.created_at),
      'lastModified', users.instant(g.updated_at), 'version', '"' || g.version || '"')
  ))
$$;

-- Replaces what a directory knows of an account. An address that a directory gives is proven by
-- it. Violates `account_changed`.
create function users.put_directory_account(
  tenant uuid, account uuid, seen bigint, email text, user_name text, user_key text,
  external_id text, display_name text, locale text, attributes jsonb, at timestamptz
) returns void
language plpgsql as $$
begin
  update users.account a
  set email = put_directory_account.email,
      email_verified = put_directory_account.email is not null
        and (a.email_verified or a.email is distinct from put_directory_account.email),
      user_name = put_directory_account.user_name, user_key = put_directory_account.user_key,
      external_id = put_directory_account.external_id,
      display_name = put_directory_account.display_name,
      locale = put_directory_account.locale, attributes = put_directory_account.attributes,
      updated_at = at, version = a.version + 1
  where a.tenant_id = tenant and a.id = account and a.version = seen and a.status <> 'erased';
  if not found then
    perform users.refuse('account_changed');
  end if;
end
$$;

-- Makes a group (`seen` null) or gives it another name. Violates `group_changed`.
create function users.put_group(
  tenant uuid, directory_group uuid, seen bigint, display_name text, display_key text,
  external_id text, at timestamptz
) returns void
language plpgsql as $$
begin
  perform users.hold(tenant);
  if seen is null then
    insert into users.directory_group (
      tenant_id, id, display_name, display_key, external_id, created_at, updated_at
    ) values (
      tenant, directory_group, put_group.display_name, put_group.display_key,
      put_group.external_id, at, at
    );
    return;
  end if;
  update users.directory_group g
  set display_name = put_group.display_name, display_key = put_group.display_key,
      external_id = put_group.external_id, updated_at = at, version = g.version + 1
  where g.tenant_id = tenant and g.id = directory_group and g.version = seen;
  if not found then
    perform users.refuse('group_changed');
  end if;
end
$$;
