//! All statements of this service, one a function.

pub mod assets;
pub mod browse;
pub mod collections;
pub mod history;
pub mod pages;
pub mod seasons;
pub mod settings;
pub mod titles;
