//! `nexus setup-link`: the link by which the first administrator comes in, on stdout.

use super::Failure;
use crate::config::HomeOptions;
use crate::setup;

pub(super) fn run(options: &HomeOptions) -> Result<(), Failure> {
    match setup::link(&options.home)? {
        Some(link) => {
            println!("{link}");
            Ok(())
        }
        None => Err(Failure::Other(anyhow::anyhow!(
            "there is no link in {}: a host leaves one there until it has an administrator",
            options.home.display()
        ))),
    }
}
