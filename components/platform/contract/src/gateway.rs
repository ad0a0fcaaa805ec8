//! The facts that `gateway` publishes.

use nexus_sdk::Time;

nexus_sdk::event! {
    /// A tenant's `/api/<alias>/…` leads somewhere else, or nowhere any more.
    "platform.api_alias.changed.v1" => AliasChanged about alias {
        alias: String,
        /// Null when it was removed.
        service: Option<String>,
        by: String,
    }
    /// It was said when an API version ends, or that it does not.
    "platform.api_version.changed.v1" => ApiVersionChanged about service {
        service: String,
        version: String,
        deprecated_at: Option<Time>,
        sunset_at: Option<Time>,
        by: String,
    }
}
