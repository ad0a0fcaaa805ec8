//! What is to be protected, as `drm` tells it: from then on players get the protected package or
//! none, and those that play the clear one stop.

use crate::domain::EndReason;
use crate::store;
use media_contract::drm::{
    PackageWithdrawn, Protection, ProtectionDecided, ProtectionDefaultDecided,
};
use nexus_sdk::prelude::*;

pub fn decided(event: &ProtectionDecided, now: Time) -> Vec<Write> {
    let mut writes = vec![store::protection::put(event.asset, event.protection, event.at)];
    if event.protection != Some(Protection::None) {
        writes.push(store::protection::end_clear(event.asset, now));
    }
    // What was protected before is given up; what is to be protected again is made anew.
    writes.push(store::protection::forget_package(event.asset));
    writes
}

pub fn default_decided(event: &ProtectionDefaultDecided, now: Time) -> Vec<Write> {
    vec![
        store::protection::put_default(event.protection, event.at),
        store::protection::end_all_clear(now),
        store::protection::forget_packages(),
    ]
}

pub fn withdrawn(event: &PackageWithdrawn, now: Time) -> Vec<Write> {
    vec![
        store::protection::withdraw(event.asset, event.package),
        store::sessions::end_of_package(event.package, EndReason::Withdrawn, now),
    ]
}
