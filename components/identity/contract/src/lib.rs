//! What the identity context tells the others: its ids, the words they share, and the facts each
//! service publishes. Plain data; no logic, no I/O.

pub mod auth;
pub mod profiles;
pub mod session_mgr;
pub mod token_mgr;
pub mod user_auth;
pub mod users;

nexus_sdk::id! {
    /// A person with an account of one tenant.
    UserId;
    /// People who work together under one name inside a tenant.
    OrganisationId;
    /// A request to join an organisation or the installation.
    InviteId;
    /// A named set of permissions.
    RoleId;
    /// A role that somebody has, in the tenant or in one organisation.
    BindingId;
    /// What proves who somebody is: a password, a passkey, a second factor.
    CredentialId;
    /// A login, registration or recovery that is not finished.
    FlowId;
    /// A person at one device, from sign-in to sign-out.
    SessionId;
    /// A key with which a program acts for somebody.
    ApiKeyId;
    /// All refresh tokens that descend from one.
    TokenFamilyId;
    /// A program that lets people sign in here.
    ClientId;
    /// A program's request to be let in that waits for a person's answer.
    GrantRequestId
}

/// How strongly somebody has proven who they are (OpenID Connect `acr`), weakest first.
pub mod acr {
    pub const SINGLE_FACTOR: &str = "urn:nexus:acr:1fa";
    pub const TWO_FACTORS: &str = "urn:nexus:acr:2fa";
    /// Something that cannot be phished.
    pub const PASSKEY: &str = "urn:nexus:acr:passkey";
}
