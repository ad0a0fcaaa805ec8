//! What operators are told of backups: when the last one was made from this home, and what of the
//! database's log still waits to be archived. An alert looks at both. Refuses to make one.

use crate::backup::{self, Record};
use nexus_admin::Source;
use nexus_observability::Exposition;
use nexus_storage::cluster;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Of one home.
pub(crate) struct Backups {
    pub(crate) home: PathBuf,
}

impl Backups {
    /// The last one; what cannot be read is told by doctor.
    fn last(&self) -> Option<(Record, jiff::Timestamp)> {
        let record = Record::read(&self.home).ok()??;
        let at = record.at.parse().ok()?;
        Some((record, at))
    }

    /// Parts of the log that wait; None when none is archived.
    fn waiting(&self) -> Option<usize> {
        let spool = cluster::spool(&self.home).ok()??;
        Some(backup::waiting(&spool).ok()?.len())
    }
}

impl Source for Backups {
    fn name(&self) -> &'static str {
        "backups"
    }

    fn measure(&self, page: &mut Exposition) {
        let last = self.last();
        let at = last.as_ref().map_or(0, |(_, at)| at.as_second());
        let help = "When the last backup from this home was done; 0 when none was.";
        page.gauge("nexus_backup_last_success_timestamp_seconds", help).sample(&[], at as f64);
        if let Some((record, _)) = last {
            let help = "Bytes of the last backup from this home.";
            page.gauge("nexus_backup_last_size_bytes", help).sample(&[], record.bytes as f64);
            let help = "How long the last backup from this home took.";
            page.gauge("nexus_backup_last_duration_seconds", help).sample(&[], record.seconds);
        }
        let help = "Finished parts of the database's log that are not archived yet.";
        let waiting = self.waiting().unwrap_or_default();
        page.gauge("nexus_backup_log_parts_waiting", help).sample(&[], waiting as f64);
    }

    fn describe(&self) -> Value {
        let last = self.last().map(|(record, _)| record);
        json!({ "last": last, "log_parts_waiting": self.waiting() })
    }
}
