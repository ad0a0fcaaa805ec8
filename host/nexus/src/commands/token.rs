//! `nexus token mint`: a token signed with the home's development key, on stdout.

use super::Failure;
use crate::config::{MintOptions, TokenCommand};
use crate::dev_tokens::{self, Claims, DevKey};
use std::time::Duration;

pub(super) fn run(command: TokenCommand) -> Result<(), Failure> {
    let TokenCommand::Mint(options) = command;
    println!("{}", mint(&options)?);
    Ok(())
}

fn mint(options: &MintOptions) -> anyhow::Result<String> {
    let key = DevKey::read(&options.home.home)?;
    let claims = Claims {
        subject: options.subject.clone(),
        kind: options.kind.into(),
        permissions: options.permissions.clone(),
        tenant: options.tenant(),
        lifetime: Duration::from_secs(u64::from(options.hours) * 3600),
    };
    let issuer = match &options.public_url {
        Some(url) => url.to_string().trim_end_matches('/').to_owned(),
        None => dev_tokens::issuer(&options.home.home)?,
    };
    key.mint(&issuer, &claims)
}
