-- Other OpenID providers by which people sign in here, and who is known from where.

create table auth.upstream (
  tenant_id uuid not null,
  id uuid not null,
  name text not null check (length(name) between 1 and 60),
  issuer text not null check (length(issuer) <= 2000),
  client_id text not null check (length(client_id) between 1 and 255),
  -- Ciphertext of kms, bound to this row; null where the provider gave none.
  client_secret text,
  scopes text[] not null,
  -- Which claims say what.
  claim_email text not null,
  claim_email_verified text not null,
  claim_name text not null,
  -- Addresses that may come by this way; empty is any.
  email_domains text[] not null default '{}',
  -- What happens to somebody new whose address has an account. confirm: its owner connects the two
  -- while signed in. unclaimed: that, unless nobody can come into the account yet.
  link text not null check (link in ('confirm', 'unclaimed')),
  -- Whether somebody new gets an account.
  registers boolean not null,
  -- What the provider says of itself, and since when that is known.
  metadata jsonb,
  metadata_at timestamptz,
  created_by text not null,
  created_at timestamptz not null,
  disabled_at timestamptz,
  version int not null default 1,
  primary key (tenant_id, id)
);
create unique index upstream_known on auth.upstream (tenant_id, issuer, client_id)
  where disabled_at is null;

-- Somebody who was sent to a provider. What the answer is checked by (nonce, PKCE verifier) follows
-- from the secret that only their browser has, and stands nowhere.
create table auth.upstream_flow (
  tenant_id uuid not null,
  -- Of `state`.
  digest bytea not null check (length(digest) = 32),
  upstream_id uuid not null,
  browser_digest bytea not null check (length(browser_digest) = 32),
  -- Who connects an account of their own; null where somebody signs in.
  subject text,
  return_to text,
  expires_at timestamptz not null,
  primary key (tenant_id, digest),
  foreign key (tenant_id, upstream_id) references auth.upstream on delete cascade
);
create index upstream_flow_expires_at on auth.upstream_flow (expires_at);

-- Who somebody at a provider is here.
create table auth.upstream_identity (
  tenant_id uuid not null,
  upstream_id uuid not null,
  -- As the provider names them; never reassigned (OpenID Connect Core §2).
  sub text not null check (length(sub) between 1 and 255),
  subject text not null,
  linked_at timestamptz not null,
  used_at timestamptz,
  constraint identity_sub primary key (tenant_id, upstream_id, sub),
  constraint identity_subject unique (tenant_id, upstream_id, subject),
  foreign key (tenant_id, upstream_id) references auth.upstream on delete cascade
);
create index upstream_identity_subject on auth.upstream_identity (tenant_id, subject);
