//! What the platform context tells the others: its ids and the facts it publishes.
//! Plain data; no logic, no I/O.

nexus_sdk::id! {
    /// A maintenance note or piece of news shown to people.
    AnnouncementId;
    /// Something that is wrong, from its first notice to its resolution.
    IncidentId;
    /// One step of an incident, in words.
    IncidentNoteId
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
}
