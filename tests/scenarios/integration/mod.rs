//! Stories of the integration context.

mod email;
