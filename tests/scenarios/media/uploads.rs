//! Files on their way here.
