//! What the platform context tells the others: its ids and the facts it publishes.
//! Plain data; no logic, no I/O.

pub mod gateway;
pub mod kms;

use nexus_sdk::Time;
use nexus_sdk::serde_json::Value;

nexus_sdk::id! {
    /// A maintenance note or piece of news shown to people.
    AnnouncementId;
    /// Something that is wrong, from its first notice to its resolution.
    IncidentId;
    /// One step of an incident, in words.
    IncidentNoteId;
    /// Something that a user wants done again and again, or once at an instant.
    ScheduleId;
    /// Where a user's jobs wait.
    QueueId;
    /// A piece of work: of a user's queue, of a schedule, or for a native worker.
    JobId;
    /// One try at a job.
    AttemptId;
    /// An order to run a schedule for a stretch of time.
    BackfillId;
    /// A key with which calls to users' machines are signed.
    SigningSecretId
}

nexus_sdk::event! {
    /// A feature flag was made, changed, switched or archived.
    "platform.flag.changed.v1" => FlagChanged about key {
        key: String,
        /// `off`, `on` or `archived`.
        state: String,
        version: i64,
    }
    /// A remote configuration value was set or removed.
    "platform.config.changed.v1" => ConfigChanged about key {
        /// `global` or the name of a service.
        scope: String,
        key: String,
    }
    /// The tenant's brand has new tokens.
    "platform.brand.changed.v1" => BrandChanged about name {
        name: String,
        version: i64,
    }
    /// An incident was opened.
    "platform.incident.opened.v1" => IncidentOpened {
        id: IncidentId,
        impact: String,
        services: Vec<String>,
    }
    /// An incident moved on without being resolved.
    "platform.incident.updated.v1" => IncidentUpdated {
        id: IncidentId,
        state: String,
    }
    /// An incident is over.
    "platform.incident.resolved.v1" => IncidentResolved {
        id: IncidentId,
    }
    /// A service answers again.
    "platform.service.up.v1" => ServiceUp about service {
        service: String,
    }
    /// A service that runs stopped answering.
    "platform.service.down.v1" => ServiceDown about service {
        service: String,
        reason: String,
    }
    /// A job was done. The host tells the same of native jobs: those have no queue or schedule.
    "platform.job.succeeded.v1" => JobSucceeded {
        id: JobId,
        /// `callback` for users' jobs and schedules; of a native job, its kind.
        kind: String,
        state: String,
        /// Deliveries so far.
        attempt: i32,
        output: Option<Value>,
        error: Option<String>,
        queue: Option<QueueId>,
        schedule: Option<ScheduleId>,
    }
    /// A try at a job failed, and there will be another. Of a native job: the last one failed.
    "platform.job.failed.v1" => JobFailed {
        id: JobId,
        kind: String,
        state: String,
        attempt: i32,
        output: Option<Value>,
        error: Option<String>,
        queue: Option<QueueId>,
        schedule: Option<ScheduleId>,
    }
    /// A user's job is not tried any more: it waits for somebody to send it again.
    "platform.job.dead.v1" => JobDead {
        id: JobId,
        kind: String,
        state: String,
        attempt: i32,
        output: Option<Value>,
        error: Option<String>,
        queue: Option<QueueId>,
        schedule: Option<ScheduleId>,
    }
    /// Runs of a schedule never came about: nobody was there to fire them in time.
    "platform.job.missed.v1" => JobMissed about schedule {
        schedule: ScheduleId,
        /// The last of the instants missed.
        scheduled_at: Time,
        /// How many instants there were.
        fires: i64,
        reason: String,
    }
}
