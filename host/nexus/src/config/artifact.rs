//! `push`, `pull` and `keys`: their options and their help. Refuses to know what a registry is
//! asked.

use super::operate::HostOptions;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Of `push` and `pull`; stands in their help.
pub(crate) const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 the host or the registry failed; 2 the command line is wrong, or the file \
is no artifact; 3 what was named is not there; 4 the host refuses; 5 no host answers.
Logins of registries are read from the file that `skopeo login` and `docker login` write: \
REGISTRY_AUTH_FILE, or config.json in DOCKER_CONFIG or ~/.docker.";

/// Of `keys`; stands in its help.
pub(crate) const KEYS_EXIT_CODES: &str = "\
Exit codes: 0 done, or signed by one of the keys; 1 failed; 2 the command line is wrong, or a file \
is none; 4 signed by none of the keys.
Keys are ed25519 in PEM, as openssl has them. What is signed are the bytes of the artifact's \
manifest: `nexus keys bytes FILE > manifest.json`, then `openssl pkeyutl -verify -rawin -pubin \
-inkey key.pub -in manifest.json -sigfile manifest.sig`.";

#[derive(Debug, Args)]
pub struct PushOptions {
    #[command(flatten)]
    pub host: HostOptions,
    /// The artifact: an .oci.tar
    pub file: PathBuf,
    /// Where to: registry.example:5000/repository:tag; default: the running host
    pub reference: Option<String>,
    /// Sign it first, with this private key; the file is left as it is
    #[arg(long, value_name = "KEY")]
    pub sign: Option<PathBuf>,
    /// Ask the registry without TLS; one on this machine always is
    #[arg(long, requires = "reference")]
    pub insecure: bool,
    /// Say what would be sent, and send nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct PullOptions {
    #[command(flatten)]
    pub host: HostOptions,
    /// registry.example:5000/repository:tag (or …@sha256:…), or the digest of an artifact that the
    /// host has
    pub what: String,
    /// The file; default: `<component>.oci.tar`
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Ask the registry without TLS; one on this machine always is
    #[arg(long)]
    pub insecure: bool,
}

#[derive(Debug, Args)]
pub struct KeysOptions {
    /// Print JSON instead of words
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: KeysCommand,
}

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key: the private one in FILE, for its owner alone, the public one beside it (.pub)
    New {
        /// The file; one that is there is not overwritten
        file: PathBuf,
    },
    /// Print the public key of a private or a public one, as NEXUS_SIGNATURE_KEYS takes it
    Public {
        /// A key
        key: PathBuf,
    },
    /// Sign an artifact: the signature is added to its file
    Sign {
        /// The artifact: an .oci.tar
        file: PathBuf,
        /// The private key; with --signature, the public one is enough
        #[arg(long, value_name = "KEY")]
        key: PathBuf,
        /// A signature that was made elsewhere, e.g. by `openssl pkeyutl -sign -rawin`
        #[arg(long, value_name = "FILE")]
        signature: Option<PathBuf>,
    },
    /// Say who has signed an artifact
    Verify {
        /// The artifact: an .oci.tar
        file: PathBuf,
        /// Public keys that count: a PEM file, or a folder of them
        #[arg(
            long = "keys",
            visible_alias = "key",
            env = "NEXUS_SIGNATURE_KEYS",
            value_name = "PATH"
        )]
        keys: PathBuf,
    },
    /// Print the bytes that a signature of an artifact is over
    Bytes {
        /// The artifact: an .oci.tar
        file: PathBuf,
    },
}
