//! The options of `nexus token`.

use super::{HomeOptions, origin};
use clap::{Args, Subcommand, ValueEnum};
use http::Uri;
use nexus_runtime::PrincipalKind;
use uuid::Uuid;

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Print a token signed with this home's development key (made by the first `nexus up`)
    Mint(MintOptions),
}

#[derive(Debug, Args)]
pub struct MintOptions {
    #[command(flatten)]
    pub home: HomeOptions,
    /// The issuer: the public URL of the host that shall accept the token [default: that of the
    /// host that has this home, or had it last]
    #[arg(long, env = "NEXUS_PUBLIC_URL", value_name = "URL", value_parser = origin)]
    pub public_url: Option<Uri>,
    /// Whom the token stands for
    #[arg(long, value_name = "NAME", default_value = "operator")]
    pub subject: String,
    /// What kind of principal that is
    #[arg(long, value_name = "KIND", default_value = "operator")]
    pub kind: TokenKind,
    /// Permissions, such as `catalog:view`; `*` is all
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_value = "*")]
    pub permissions: Vec<String>,
    /// The tenant; default: the installation's own
    #[arg(long, value_name = "UUID")]
    pub tenant: Option<Uuid>,
    /// How long the token is valid
    #[arg(long, value_name = "HOURS", default_value_t = 12,
        value_parser = clap::value_parser!(u32).range(1..=24 * 30))]
    pub hours: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TokenKind {
    User,
    Service,
    Operator,
}

impl From<TokenKind> for PrincipalKind {
    fn from(kind: TokenKind) -> Self {
        match kind {
            TokenKind::User => Self::User,
            TokenKind::Service => Self::Service,
            TokenKind::Operator => Self::Operator,
        }
    }
}

impl MintOptions {
    /// The tenant the token names.
    pub fn tenant(&self) -> Uuid {
        self.tenant.unwrap_or(nexus_runtime::DEFAULT_TENANT)
    }
}
