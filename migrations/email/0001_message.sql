-- Mail to people. What a message says is never here: it lies sealed in the bucket `mail`, and only
-- the key that opens it stands beside the message, until the message is out or given up.

-- How a tenant's mail looks from outside. No row: the installation's own address.
create table email.sender (
  tenant_id uuid primary key,
  from_address text not null check (length(from_address) between 3 and 254),
  from_name text not null check (length(from_name) between 1 and 80),
  reply_to text check (length(reply_to) between 3 and 254),
  -- Where servers return what they cannot deliver; the sender's address if there is none.
  return_path text check (length(return_path) between 3 and 254),
  -- Origin of the links that this service itself puts into mail.
  link_origin text check (length(link_origin) between 8 and 200),
  -- In the sandbox nothing goes out but to the addresses and domains that are named here.
  sandbox boolean not null,
  sandbox_allow text[] not null check (cardinality(sandbox_allow) <= 100),
  recipient_hour_max int not null check (recipient_hour_max between 1 and 1000),
  version bigint not null default 1,
  updated_at timestamptz not null,
  updated_by text not null
);

create table email.message (
  tenant_id uuid not null,
  id uuid not null,
  -- Lower-case domain; who gets it.
  address text not null check (length(address) between 3 and 254),
  template text not null check (length(template) between 1 and 64),
  -- 0 is the built-in one.
  template_version int not null,
  locale text not null check (length(locale) between 2 and 35),
  category text not null check (category in ('security', 'account', 'notice')),
  -- Which component or program asked for it.
  caller text not null check (length(caller) between 1 and 120),
  -- queued: rendered, sealed, and waiting for a worker, for the first time or again.
  -- sent: the next server has it. delivered: it lies in the mailbox.
  state text not null check (state in (
    'queued', 'sent', 'delivered', 'bounced', 'complained', 'failed', 'suppressed', 'cancelled')),
  -- Why it is where it is: a word, such as `hard_bounce`, `rate`, `sandbox`, `expired`.
  reason text check (length(reason) <= 200),
  dedup_key text check (length(dedup_key) between 1 and 150),
  -- The worker's job that delivers it; another one after each retry.
  job_id uuid,
  attempts int not null default 0,
  -- SMTP reply code of the last attempt.
  smtp_code int,
  -- Opens the sealed object; null once that object is gone.
  seal_key bytea check (octet_length(seal_key) = 32),
  -- SHA-256 of the token in the link that unsubscribes.
  unsubscribe_digest bytea check (octet_length(unsubscribe_digest) = 32),
  created_at timestamptz not null,
  -- After this instant nobody wants to read it any more.
  expires_at timestamptz not null,
  finished_at timestamptz,
  primary key (tenant_id, id)
);
create unique index message_dedup on email.message (tenant_id, dedup_key)
  where dedup_key is not null;
create unique index message_job on email.message (tenant_id, job_id) where job_id is not null;
create index message_address on email.message (tenant_id, address, created_at);
create index message_unsubscribe on email.message (tenant_id, unsubscribe_digest)
  where unsubscribe_digest is not null;
create index message_queued on email.message (expires_at) where state = 'queued';
create index message_sealed on email.message (expires_at) where seal_key is not null;
create index message_created_at on email.message (created_at);

-- Addresses that get no mail, or none but what must be said.
create table email.suppression (
  tenant_id uuid not null,
  address text not null check (length(address) between 3 and 254),
  reason text not null check (reason in ('hard_bounce', 'complaint', 'unsubscribed', 'manual')),
  note text check (length(note) <= 200),
  message_id uuid,
  created_at timestamptz not null,
  created_by text not null,
  primary key (tenant_id, address, reason)
);

-- A tenant's own words. Versions are kept as they were written; messages name theirs.
create table email.template (
  tenant_id uuid not null,
  name text not null check (name ~ '^[a-z][a-z0-9-]{0,63}$'),
  locale text not null check (length(locale) between 2 and 35),
  version int not null check (version between 1 and 1000),
  subject text not null check (length(subject) between 1 and 500),
  html text not null check (octet_length(html) <= 65536),
  plain text not null check (octet_length(plain) <= 65536),
  -- Of the versions of one name and locale, the one that is used; without any, the built-in one is.
  is_current boolean not null,
  created_at timestamptz not null,
  created_by text not null,
  primary key (tenant_id, name, locale, version)
);
create unique index template_current on email.template (tenant_id, name, locale)
  where is_current;
