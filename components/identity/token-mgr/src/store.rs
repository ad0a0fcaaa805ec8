//! All SQL of token-mgr, one statement per function, a file per resource. What hosts must know goes
//! through the platform's functions, in the same commit as the row here.

pub mod api_keys;
pub mod families;
pub mod issued;
pub mod keys;
pub mod subjects;
