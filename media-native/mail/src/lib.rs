//! The kind `mail`: brings one message to where it goes. Opens what `email` has sealed, hands it to
//! a mailbox folder or to a mail server, and says what came of it. Knows no template, no tenant and
//! no list; keeps nothing.
//!
//! What a message says is in memory here and nowhere else: not in a file of the job, not in a log
//! line, not in what is told to the host.

mod dkim;
mod maildir;
mod sealed;
mod settings;
mod smtp;

pub use dkim::{Dkim, DkimError};
pub use maildir::Maildir;
pub use settings::{Settings, SettingsError};
pub use smtp::{Security, Server};

use nexus_media_protocol::wire::Object;
use nexus_media_protocol::{Context, Failure, Job, Worker};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

/// What `email` makes, with room for its encodings.
const MESSAGE_BYTES_MAX: u64 = 1 << 20;
/// A machine without a mail server configured is waited for so long.
const UNCONFIGURED: Duration = Duration::from_secs(60);

/// Which message, and how it is opened.
#[derive(Clone, Deserialize)]
pub struct Args {
    pub id: Uuid,
    pub object: Object,
    /// Base64.
    pub key: String,
    /// Where it is returned to when it cannot be delivered.
    pub from: String,
    pub to: String,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Output {
    pub result: Outcome,
    /// SMTP reply code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// Of a bounce: there is no such mailbox.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub permanent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The next server has it.
    Sent,
    /// It lies in the mailbox.
    Delivered,
    /// The next server will never take it.
    Bounced,
}

/// Where mail goes.
#[derive(Debug)]
pub enum Sink {
    Maildir(Maildir),
    Server(Box<Server>),
}

/// The worker.
#[derive(Debug)]
pub struct Mail {
    sink: Result<Sink, String>,
    dkim: Option<Dkim>,
}

impl Mail {
    pub fn new(sink: Sink, dkim: Option<Dkim>) -> Self {
        Self { sink: Ok(sink), dkim }
    }

    /// As the environment says. What is wrong there is told with each job, so that the other kinds
    /// of this program go on.
    pub fn from_env() -> Self {
        let made = Settings::from_env().and_then(|settings| settings.open());
        match made {
            Ok((sink, dkim)) => Self { sink: Ok(sink), dkim },
            Err(error) => Self { sink: Err(error.to_string()), dkim: None },
        }
    }

    fn deliver(&self, attempt: u32, args: &Args, message: &[u8]) -> Result<Output, Failure> {
        let signed;
        let message = match &self.dkim {
            Some(dkim) => {
                signed = dkim.sign(message).map_err(Failure::retry)?;
                &signed[..]
            }
            None => message,
        };
        match &self.sink {
            Ok(Sink::Maildir(maildir)) => {
                maildir.deliver(&args.id.to_string(), &args.from, &args.to, message)
            }
            Ok(Sink::Server(server)) => server.deliver(attempt, &args.from, &args.to, message),
            Err(reason) => {
                Err(Failure::Release { after: Some(UNCONFIGURED), reason: reason.clone() })
            }
        }
    }
}

impl Worker for Mail {
    const KIND: &'static str = "mail";
    type Args = Args;
    type Output = Output;

    fn work(&self, job: &Job<Args>, cx: &Context) -> Result<Output, Failure> {
        let args = &job.args;
        cx.progress(0.0, "opening");
        let fetched = cx.fetch(&args.object, MESSAGE_BYTES_MAX)?;
        let sealed = std::fs::read(&fetched.path).map_err(Failure::retry)?;
        let message = sealed::open(&args.key, &args.id.to_string(), &sealed);
        let message = message.map_err(Failure::reject)?;
        cx.check()?;
        cx.progress(0.5, "sending");
        self.deliver(job.attempt, args, &message)
    }
}
