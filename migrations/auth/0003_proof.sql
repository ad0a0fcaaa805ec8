-- How clients prove themselves without a secret (RFC 7523), what their tokens are bound to (RFC
-- 9449), how their ID tokens are signed, and how they look after their own registration (RFC 7592).

alter table auth.client
  add column auth_method text not null default 'client_secret_basic' check (auth_method in
    ('none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt')),
  add column jwks jsonb,
  add column jwks_uri text,
  add column id_token_alg text not null default 'ES256' check (id_token_alg in ('ES256', 'RS256')),
  -- Whether it gets tokens only with a proof of its key.
  add column dpop_bound boolean not null default false,
  -- Of the token by which it looks after itself.
  add column registration_digest bytea check (length(registration_digest) = 32);
update auth.client set auth_method = 'none' where kind = 'public';

-- A confidential client may have a key instead of a secret.
alter table auth.client drop constraint client_check;
alter table auth.client add constraint client_proof
  check (kind = 'confidential' or secret_digest is null);

-- Assertions and proofs that were taken, until they expire by themselves: none is taken twice.
create table auth.proof (
  tenant_id uuid not null,
  digest bytea not null check (length(digest) = 32),
  expires_at timestamptz not null,
  constraint proof_once primary key (tenant_id, digest)
);
create index proof_expires_at on auth.proof (expires_at);

-- Thumbprint of the key that must redeem the code (RFC 9449 §10).
alter table auth.code add column jkt text check (length(jkt) = 43);
