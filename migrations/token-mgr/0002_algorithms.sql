-- A second kind of signing key, RS256, for the ID tokens of clients that ask for it; and the key
-- that a family's refresh tokens are bound to (RFC 9449).

alter table token_mgr.signing_key rename to key;
alter table token_mgr.key
  add column algorithm text not null default 'ES256' check (algorithm in ('ES256', 'RS256'));
-- Each algorithm has a key of its own in kms, whose versions count from one.
alter table token_mgr.key drop constraint signing_key_version_key;
alter table token_mgr.key add constraint key_version unique (algorithm, version);

-- For the revision before this one: what it signs with must stay of the kind that it knows.
create view token_mgr.signing_key as
  select kid, version, jwk, published_at, active_at, expires_at, withdrawn_at
  from token_mgr.key where algorithm = 'ES256';

-- Thumbprint (RFC 7638) of the key that a client without a secret proves itself by when it
-- refreshes; null where the tokens belong to whoever holds them.
alter table token_mgr.family add column jkt text check (length(jkt) = 43);
