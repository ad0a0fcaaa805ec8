//! User-auth: how people prove who they are, and the flows that make a sign-in of it. Knows
//! passwords, mailed links, one-time codes and passkeys; refuses to know who there is (`users`),
//! who is in (`session-mgr`), how anything is sealed (`kms`) or mailed (`email`).

mod account;
mod activity;
mod caller;
mod email_address;
mod enrolment;
mod entrance;
mod hashing;
mod internal;
mod login;
mod orders;
mod otp;
mod passkeys;
mod password;
mod password_rules;
mod peers;
mod proofs;
mod qr;
mod recovery;
mod registration;
mod second_factors;
mod secrets;
mod setup;
mod site;
mod step_up;
mod store;
mod throttle;
mod webauthn;

use activity::{on_erased, on_suspended, purge_expired, release_locks};
use nexus_sdk::prelude::*;
use orders::on_due;

nexus_sdk::service! {
    http: router,
    events: {
        "identity.mail.due.v1" => on_due,
        "identity.user.suspended.v1" => on_suspended,
        "identity.user.erased.v1" => on_erased,
    },
    cron: [purge_expired, release_locks],
}

fn router() -> Router {
    Router::new()
        .merge(registration::router())
        .merge(login::router())
        .merge(enrolment::router())
        .merge(recovery::router())
        .merge(password::router())
        .merge(step_up::router())
        .merge(second_factors::router())
        .merge(passkeys::router())
        .merge(setup::router())
        .merge(activity::router())
        .merge(internal::router())
}
