//! Stories of the integration context.

mod email;
mod email_rules;
mod mail_server;
