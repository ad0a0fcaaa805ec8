//! What every page is made of: the document around it, fields and complaints, icons, the way a
//! form comes in and an answer goes out.
//!
//! Knows HTML, HTTP and the brand. Refuses to know what a page is about. It stands in this crate
//! until a second front end needs it; nothing here imports from `pages`.

pub mod answer;
pub mod ask;
pub mod assets;
pub mod complaint;
pub mod document;
pub mod field;
pub mod icon;
pub mod notice;
pub mod posted;
pub mod return_to;
pub mod spoken;
pub mod trouble;
pub mod visitor;

/// What a page's handler needs of the kit.
pub mod prelude {
    pub use super::answer::{Answer, go, page, with_cookies};
    pub use super::complaint::{Complaints, Refused};
    pub use super::document::{Menu, account, focus, narrow};
    pub use super::field::{Field, hidden, submit};
    pub use super::icon;
    pub use super::notice::Notice;
    pub use super::posted::Posted;
    pub use super::spoken;
    pub use super::trouble::Trouble;
    pub use super::visitor::Visitor;
    pub use maud::{Markup, PreEscaped, html};
}
