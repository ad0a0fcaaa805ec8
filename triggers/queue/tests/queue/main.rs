//! What the trigger promises about messages on their way to components, on a real PostgreSQL and
//! with components that are native functions.

mod ground;
mod outcomes;
mod traces;
mod trouble;
