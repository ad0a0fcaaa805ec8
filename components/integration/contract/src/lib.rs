//! What the integration context tells the others: its ids and the facts it publishes.
//! Plain data; no logic, no I/O.

pub mod email;

nexus_sdk::id! {
    /// A message to one person.
    MessageId
}
