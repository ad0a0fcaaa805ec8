//! The ids of `profiles`, and the facts it publishes.

use crate::UserId;

nexus_sdk::id! {
    /// One picture of somebody; another picture has another id.
    AvatarId;
    /// One who watches in a household.
    SubprofileId
}

nexus_sdk::event! {
    /// A profile shows something else.
    "identity.profile.updated.v1" => ProfileUpdated about user {
        user: UserId,
        /// Which fields, by name.
        fields: Vec<String>,
    }
    /// Somebody goes by another handle.
    "identity.profile.handle_changed.v1" => HandleChanged about user {
        user: UserId,
        handle: String,
        /// The one before; it leads to the new one for a while.
        former: Option<String>,
    }
    /// Somebody was given the badge, or it was taken back.
    "identity.profile.verified.v1" => ProfileVerified about user {
        user: UserId,
        verified: bool,
        by: String,
    }
}
