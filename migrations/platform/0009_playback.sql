-- Ends a playback before its tokens expire: a word to the hosts like any other revocation, and the
-- service that admits viewers may say no other.
create function platform.playback_end(tenant_id uuid, playback uuid, expires_at timestamptz)
returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform platform.identity_admit('{streaming}');
  insert into platform.revocation as r (tenant_id, kind, key, expires_at)
  values (
    playback_end.tenant_id, 'token', playback_end.playback::text, playback_end.expires_at
  )
  on conflict on constraint revocation_pkey do update
    set expires_at = greatest(r.expires_at, excluded.expires_at);
  perform platform.identity_note('revocation', playback_end.tenant_id,
    'token:' || playback_end.playback);
end
$$;
grant execute on function platform.playback_end(uuid, uuid, timestamptz) to public;
