//! How long and how many: every bound of this service with its reason.

/// Access tokens: short, because a host that is cut off from the database goes on believing them.
pub const ACCESS_SECONDS: i32 = 600;
/// What `auth` may ask for at most, of access tokens and of all others.
pub const ACCESS_SECONDS_MAX: i32 = 3600;
pub const TOKEN_SECONDS_MAX: i32 = crate::rotation::TOKEN_SECONDS_MAX;
/// However often a family is refreshed: once a month somebody signs in.
pub const FAMILY_DAYS: i32 = 30;
/// A client whose answer was lost asks again within seconds; later it is somebody else.
pub const GRACE_SECONDS: i32 = 10;
/// Devices and clients of one subject at a time; ending all of them is one transaction.
pub const FAMILIES_MAX: i32 = 200;
/// Keys of one subject that are worth something.
pub const API_KEYS_MAX: i32 = 50;
/// A key that is forgotten is worth nothing after a year, and after a season if nobody says more.
pub const API_KEY_DAYS_MAX: i32 = 366;
pub const API_KEY_DAYS: i32 = 90;
/// A key outlives the session that made it: whoever makes one has shown who they are not long ago.
pub const PROVEN_MINUTES: i32 = 60;
/// What has ended is shown for a month.
pub const KEPT_DAYS: i32 = 30;
/// Others who change the same family or the same subject's keys at the same moment: each try is a
/// fresh look at what there is.
pub const TRIES: usize = 6;
