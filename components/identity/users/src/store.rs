//! All SQL of users, one statement per function. What changes what somebody may do is one function
//! of the migrations each, which also tells the platform.

pub mod accounts;
pub mod groups;
pub mod organisations;
pub mod relations;
pub mod roles;
pub mod scim;
pub mod tenants;
