//! Stories of the pages, told by a browser that follows links, fills in forms and keeps cookies.

mod browser;
mod creator;
mod creator_browser;
mod creator_rows;
mod forms;
mod identity_provider;
mod journey;
mod pages;
mod provider;
mod stream;
mod visitor;
