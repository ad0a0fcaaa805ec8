//! What every page of the suite is made of: the document around it, fields and complaints, icons,
//! the way a form comes in and an answer goes out, and one style sheet, typeface and mark.
//!
//! Knows HTML, HTTP, the brand, and where one signs in. Refuses to know what a page is about: each
//! front end brings its own menu ([`document::Entry`]), notices ([`notices!`]) and files
//! ([`files!`]). It is a crate and no component; front ends link it and the SDK.

// The macros write `::web_kit::…`, also when this crate uses them itself.
extern crate self as web_kit;

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

#[doc(hidden)]
pub use maud;

/// What a page's handler needs of the kit.
pub mod prelude {
    pub use crate::answer::{Answer, Policy, go, page, page_allowing, with_cookies};
    pub use crate::complaint::{Complaints, Refused};
    pub use crate::document::{Document, Entry};
    pub use crate::field::{Field, hidden, submit};
    pub use crate::icon;
    pub use crate::notice::Notice;
    pub use crate::posted::Posted;
    pub use crate::spoken;
    pub use crate::trouble::Trouble;
    pub use crate::visitor::Visitor;
    pub use maud::{Markup, PreEscaped, html};
}
