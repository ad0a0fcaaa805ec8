//! What is around these pages: the top, the menu, the head of a page.

use crate::{assets, notice};
use nexus_sdk::prelude::{Response, StatusCode};
use web_kit::document;
use web_kit::prelude::*;

/// Where one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Menu {
    Overview,
    Videos,
    Titles,
    Rows,
    Upload,
}

impl Menu {
    fn path(self) -> &'static str {
        match self {
            Menu::Overview => "/creator",
            Menu::Videos => "/creator/videos",
            Menu::Titles => "/creator/titles",
            Menu::Rows => "/creator/rows",
            Menu::Upload => "/creator/upload",
        }
    }
}

const ENTRIES: [Entry; 4] = [
    Entry { path: "/creator", label: "Overview", icon: icon::home },
    Entry { path: "/creator/upload", label: "Upload", icon: icon::upload },
    Entry { path: "/creator/videos", label: "Films", icon: icon::film },
    Entry { path: "/creator/titles", label: "Titles", icon: icon::layers },
];
/// For those who arrange what all viewers see.
const ROWS: Entry = Entry { path: "/creator/rows", label: "Rows", icon: icon::rows };

/// Arranging rows.
pub const CURATE: &str = "content-cms:curate";
/// Sending in work.
pub const UPLOAD: &str = "uploader:create";

/// A page of the studio. What it may ask for by itself is our own origin, for what moves on it.
pub fn studio(visitor: &Visitor, menu: Menu, title: &str, content: &Markup) -> Response {
    shown(visitor, menu, title, content, StatusCode::OK)
}

/// The same with a form in it, which is sent back when there are complaints.
pub fn with_form(
    visitor: &Visitor,
    menu: Menu,
    title: &str,
    content: &Markup,
    complaints: &Complaints,
) -> Response {
    let status = match complaints.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::UNPROCESSABLE_ENTITY,
    };
    shown(visitor, menu, title, content, status)
}

fn shown(
    visitor: &Visitor,
    menu: Menu,
    title: &str,
    content: &Markup,
    status: StatusCode,
) -> Response {
    let mut entries = ENTRIES.to_vec();
    if visitor.principal().may(CURATE) {
        entries.push(ROWS);
    }
    let end = html! {
        div.sign {
            a.button.quiet.watch href="/tv" { (icon::play()) span { "Watch" } }
            a.button.quiet href="/account" { (icon::person()) span { "Account" } }
        }
    };
    let body = html! {
        (document::top(&end))
        div.account-frame {
            (document::menu("Studio", &entries, menu.path()))
            (document::main(notice::of(visitor), content))
        }
        (document::footer())
    };
    let mut document = Document::new(title, "account studio")
        .style(assets::STYLE.path())
        .script(assets::STUDIO.path());
    if menu == Menu::Upload {
        document = document.script(assets::UPLOAD.path());
    }
    let policy = Policy::strict().allow("connect-src", "'self'");
    page_allowing(status, document.show(&body), &policy)
}

/// The head of a page: what it is, and what can be done from here.
pub fn head(title: &str, actions: &Markup) -> Markup {
    html! {
        div.page-head {
            h1 { (title) }
            div.actions { (actions) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_has_its_place_in_the_menu() {
        let menu = [Menu::Overview, Menu::Videos, Menu::Titles, Menu::Rows, Menu::Upload];
        for path in menu.map(Menu::path) {
            let known = ENTRIES.iter().chain([&ROWS]).any(|entry| entry.path == path);
            assert!(known, "{path}");
        }
    }
}
