//! Who people are, how they prove it, and what programs get for it.

mod api_keys;
mod oauth;
mod organisations;
mod scim;
mod sessions;
mod sessions_ground;
mod tokens;
mod users;
mod users_projection;
mod users_stage;
mod users_tenants;
