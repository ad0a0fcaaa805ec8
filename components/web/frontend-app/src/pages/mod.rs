//! The pages, one file for each thing that a visitor comes for. A page's functions are its `GET`,
//! which shows, and its `POST`s, which ask a service to do something and go on to a `GET`.

mod consent;
mod device;
mod enrol;
mod entry;
mod invite;
mod keys;
mod landing;
mod magic_link;
mod missing;
mod organisations;
mod overview;
mod passkey_sign_in;
mod passkeys;
mod profile;
mod programs;
mod provider;
mod recover;
mod register;
mod second_factor;
mod security;
mod sessions;
mod setup;
mod sign_in;
mod step_up;
mod totp;
mod verify;

use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new()
        .merge(landing::router())
        .merge(overview::router())
        .merge(sign_in::router())
        .merge(passkey_sign_in::router())
        .merge(second_factor::router())
        .merge(enrol::router())
        .merge(provider::router())
        .merge(register::router())
        .merge(verify::router())
        .merge(recover::router())
        .merge(magic_link::router())
        .merge(setup::router())
        .merge(step_up::router())
        .merge(consent::router())
        .merge(device::router())
        .merge(programs::router())
        .merge(profile::router())
        .merge(security::router())
        .merge(totp::router())
        .merge(passkeys::router())
        .merge(sessions::router())
        .merge(keys::router())
        .merge(organisations::router())
        .merge(invite::router())
        .merge(missing::router())
}
