//! Who people are, how they prove it, and what programs get for it.

mod api_keys;
mod hostile;
mod login;
mod login_people;
mod login_setup;
mod oauth;
mod oauth_proofs;
mod organisations;
mod organisations_invites;
mod passkeys;
mod profiles;
mod recovery;
mod registration;
mod revocation;
mod scim;
mod second_factor;
mod secrets;
mod secrets_log;
mod sessions;
mod sessions_ground;
mod tokens;
mod users;
mod users_projection;
mod users_stage;
mod users_tenants;
