//! The document around a page: head, top, menu, footer; and the page that says why there is none.
//!
//! Knows where style sheet and brand come from. The tenant's colours and logo are its own files of
//! `core-os`, so that no page waits for them. Refuses to know which pages there are: a front end
//! says what stands in its menu.

use crate::{assets, icon, notice::Notice};
use maud::{DOCTYPE, Markup, html};

/// One line of a menu.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    pub path: &'static str,
    pub label: &'static str,
    pub icon: fn() -> Markup,
}

/// A document in the making.
#[derive(Debug)]
#[must_use = "a document is nothing until it is shown"]
pub struct Document<'a> {
    title: &'a str,
    scene: &'a str,
    styles: Vec<String>,
    scripts: Vec<String>,
}

impl<'a> Document<'a> {
    /// `scene` is the class of the body, by which a style sheet tells kinds of pages apart.
    pub fn new(title: &'a str, scene: &'a str) -> Document<'a> {
        Document { title, scene, styles: Vec::new(), scripts: Vec::new() }
    }

    /// With one more style sheet of our own, by its path.
    pub fn style(mut self, path: String) -> Document<'a> {
        self.styles.push(path);
        self
    }

    /// With one more module script of our own, by its path.
    pub fn script(mut self, path: String) -> Document<'a> {
        self.scripts.push(path);
        self
    }

    /// The whole page; `body` holds a `main` with the id `main`.
    pub fn show(&self, body: &Markup) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    title { (self.title) " · Nexus COS" }
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="theme-color" content="#ffffff"
                        media="(prefers-color-scheme: light)";
                    meta name="theme-color" content="#0b1120"
                        media="(prefers-color-scheme: dark)";
                    link rel="icon" type="image/svg+xml" href=(assets::mark());
                    link rel="preload" as="font" type="font/woff2" href=(assets::typeface())
                        crossorigin="anonymous";
                    link rel="stylesheet" href="/api/core-os/v1/branding/tokens.css";
                    link rel="stylesheet" href=(assets::style());
                    @for style in &self.styles { link rel="stylesheet" href=(style); }
                    @for script in &self.scripts { script type="module" src=(script) {} }
                }
                body class=(self.scene) {
                    a.skip href="#main" { "Skip to content" }
                    (body)
                }
            }
        }
    }
}

/// The logo, which leads to the first page.
pub fn logo() -> Markup {
    html! {
        a.logo href="/" {
            img src="/api/core-os/v1/branding/logo.svg" width="165" height="36"
                alt="Nexus COS, to the first page";
        }
    }
}

/// The bar at the top: the logo, and what stands at its other end.
pub fn top(end: &Markup) -> Markup {
    html! { header.top { (logo()) (end) } }
}

/// The button by which one leaves one's account.
pub fn sign_out() -> Markup {
    html! {
        form.sign method="post" action="/account/sign-out" {
            button.button.quiet type="submit" { (icon::leave()) span { "Sign out" } }
        }
    }
}

pub fn footer() -> Markup {
    html! {
        footer.foot {
            p { "Nexus COS, the creative operating system" }
            nav aria-label="Further pages" {
                a href="/docs" { "API" }
            }
        }
    }
}

/// The menu at the side of a page; on a small screen above it.
pub fn menu(label: &str, entries: &[Entry], current: &str) -> Markup {
    html! {
        nav.menu aria-label=(label) {
            ul {
                @for entry in entries {
                    li {
                        a href=(entry.path)
                            aria-current=[(entry.path == current).then_some("page")] {
                            ((entry.icon)()) span { (entry.label) }
                        }
                    }
                }
            }
        }
    }
}

/// What a page is about, below the notice that the last one has left.
pub fn main(notice: Option<Notice>, content: &Markup) -> Markup {
    html! {
        main #main tabindex="-1" {
            @if let Some(notice) = notice { (notice.bar()) }
            (content)
        }
    }
}

/// A page that says why there is none.
pub fn trouble(title: &str, words: &str, request_id: &str) -> Markup {
    let body = html! {
        (top(&html! {}))
        main.trouble #main tabindex="-1" {
            (icon::warning())
            h1 { (title) }
            p { (words) }
            @if !request_id.is_empty() { p.number { "Number: " code { (request_id) } } }
            p.actions {
                a.button.primary href="/account" { "Your account" }
                a.button.quiet href="/" { "First page" }
            }
        }
        (footer())
    };
    Document::new(title, "site").show(&body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_page_holds_script_or_style_of_its_own() {
        let document = Document::new("A", "site").style("/a.css".into()).script("/a.js".into());
        for shown in [document.show(&html! { p { "hello" } }), trouble("A", "b", "r-1")] {
            let shown = shown.into_string();
            for banned in ["<style", " style=", " onclick=", " onload=", "<script>"] {
                assert!(!shown.contains(banned), "{banned} in {shown}");
            }
            assert!(shown.starts_with("<!DOCTYPE html>"), "{shown}");
            assert!(shown.contains("lang=\"en\""), "{shown}");
        }
    }

    #[test]
    fn a_title_is_text() {
        let shown = trouble("<script>", "<b>", "\"><i>").into_string();
        assert!(!shown.contains("<script>") && !shown.contains("<b>") && !shown.contains("<i>"));
    }

    #[test]
    fn the_menu_says_where_one_is() {
        let entries = ["/a", "/b"].map(|path| Entry { path, label: path, icon: icon::home });
        let shown = menu("Pages", &entries, "/b").into_string();
        assert_eq!(shown.matches("aria-current=\"page\"").count(), 1);
    }
}
