//! The facts that `email` publishes. None of them says to whom a message went or what it said.

use crate::MessageId;
use nexus_sdk::serde_json::Value;
use nexus_sdk::uuid::Uuid;

nexus_sdk::event! {
    /// The next server has taken a message.
    "notify.email.sent.v1" => EmailSent { id: MessageId, template: String, category: String }
    /// A message lies in the mailbox of whom it is for.
    "notify.email.delivered.v1" => EmailDelivered {
        id: MessageId,
        template: String,
        category: String,
    }
    /// A message came back. After a permanent bounce the address gets no more mail.
    "notify.email.bounced.v1" => EmailBounced {
        id: MessageId,
        template: String,
        category: String,
        permanent: bool,
    }
    /// Whom it is for has called a message unwanted; the address gets no more notices.
    "notify.email.complained.v1" => EmailComplained {
        id: MessageId,
        template: String,
        category: String,
    }
    /// A message was not sent, for its address wants or takes none.
    "notify.email.suppressed.v1" => EmailSuppressed {
        id: MessageId,
        template: String,
        category: String,
        /// `hard_bounce`, `complaint`, `unsubscribed`, `manual`, `rate` or `sandbox`.
        reason: String,
    }
    /// A message was given up.
    "notify.email.failed.v1" => EmailFailed { id: MessageId, template: String, category: String }
    /// Somebody wants no more notices.
    "notify.email.unsubscribed.v1" => EmailUnsubscribed { id: MessageId }
    /// A worker is done with a message; told by the platform for this service itself.
    "notify.mail_job.settled.v1" => MailJobSettled {
        /// The job's.
        id: Uuid,
        kind: String,
        /// `succeeded`, `failed` or `cancelled`.
        state: String,
        attempt: i32,
        /// What the worker says; see `media-native/mail`.
        output: Option<Value>,
        error: Option<String>,
    }
}
