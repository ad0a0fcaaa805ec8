//! The facts that `auth` publishes.

use crate::ClientId;

nexus_sdk::id! {
    /// Another OpenID provider by which people sign in here.
    UpstreamId
}

nexus_sdk::event! {
    /// A program may let people sign in here.
    "identity.client.registered.v1" => ClientRegistered about client {
        client: ClientId,
        name: String,
    }
    /// Somebody has let a program act for them.
    "identity.grant.issued.v1" => GrantIssued about client {
        client: ClientId,
        subject: String,
        scopes: Vec<String>,
    }
    /// Somebody has taken that back.
    "identity.grant.revoked.v1" => GrantRevoked about client { client: ClientId, subject: String }
    /// A program has to be told that a session is over.
    "identity.logout.due.v1" => LogoutDue about session {
        session: String,
        subject: String,
        client: ClientId,
    }
    /// Somebody comes in by a provider from now on.
    "identity.upstream.linked.v1" => UpstreamLinked about upstream {
        upstream: UpstreamId,
        subject: String,
    }
    /// And no more.
    "identity.upstream.unlinked.v1" => UpstreamUnlinked about upstream {
        upstream: UpstreamId,
        subject: String,
    }
}
