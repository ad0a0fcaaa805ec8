//! The document around a page, in its three scenes: the site, one narrow form, the account.
//!
//! Knows header, menu, footer and where style sheet and brand come from. The tenant's colours
//! and logo are its own files of `core-os`, so that no page waits for them.

use super::{assets, icon, notice::Notice};
use maud::{DOCTYPE, Markup, html};

/// A page of the account, in the order of its menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Menu {
    Overview,
    Profile,
    Security,
    Devices,
    Programs,
    Keys,
    Organisations,
}

impl Menu {
    const ALL: [Menu; 7] = [
        Menu::Overview,
        Menu::Profile,
        Menu::Security,
        Menu::Devices,
        Menu::Programs,
        Menu::Keys,
        Menu::Organisations,
    ];

    fn path(self) -> &'static str {
        match self {
            Menu::Overview => "/account",
            Menu::Profile => "/account/profile",
            Menu::Security => "/account/security",
            Menu::Devices => "/account/sessions",
            Menu::Programs => "/account/programs",
            Menu::Keys => "/account/keys",
            Menu::Organisations => "/account/organisations",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Menu::Overview => "Overview",
            Menu::Profile => "Profile",
            Menu::Security => "Security",
            Menu::Devices => "Devices",
            Menu::Programs => "Connected apps",
            Menu::Keys => "API keys",
            Menu::Organisations => "Organisations",
        }
    }

    fn icon(self) -> Markup {
        match self {
            Menu::Overview => icon::home(),
            Menu::Profile => icon::person(),
            Menu::Security => icon::shield(),
            Menu::Devices => icon::devices(),
            Menu::Programs => icon::layers(),
            Menu::Keys => icon::key(),
            Menu::Organisations => icon::people(),
        }
    }
}

fn document(title: &str, scene: &str, script: bool, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { (title) " · Nexus COS" }
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="theme-color" content="#ffffff" media="(prefers-color-scheme: light)";
                meta name="theme-color" content="#0b1120" media="(prefers-color-scheme: dark)";
                link rel="icon" type="image/svg+xml" href=(assets::mark());
                link rel="preload" as="font" type="font/woff2" href=(assets::typeface())
                    crossorigin="anonymous";
                link rel="stylesheet" href="/api/core-os/v1/branding/tokens.css";
                link rel="stylesheet" href=(assets::style());
                @if script { script type="module" src=(assets::passkey_script()) {} }
            }
            body class=(scene) {
                a.skip href="#main" { "Skip to content" }
                (body)
            }
        }
    }
}

fn logo() -> Markup {
    html! {
        a.logo href="/" {
            img src="/api/core-os/v1/branding/logo.svg" width="165" height="36"
                alt="Nexus COS, to the first page";
        }
    }
}

fn footer() -> Markup {
    html! {
        footer.foot {
            p { "Nexus COS, the creative operating system" }
            nav aria-label="Further pages" {
                a href="/docs" { "API" }
            }
        }
    }
}

/// A page of the public site.
pub fn site(title: &str, signed_in: bool, notice: Option<Notice>, content: &Markup) -> Markup {
    let body = html! {
        header.top {
            (logo())
            nav.sign aria-label="Account" {
                @if signed_in {
                    a.button.primary href="/account" { "Your account" }
                } @else {
                    a.button.quiet href="/account/sign-in" { "Sign in" }
                    a.button.primary href="/account/register" { "Create account" }
                }
            }
        }
        main #main tabindex="-1" {
            @if let Some(notice) = notice { (notice.bar()) }
            (content)
        }
        (footer())
    };
    document(title, "site", false, &body)
}

/// One form and nothing that distracts from it.
pub fn narrow(title: &str, notice: Option<Notice>, content: &Markup) -> Markup {
    document(title, "narrow", false, &beside_brand(title, notice, content))
}

/// As [`narrow`], with the script that speaks with the browser's passkeys.
pub fn focus(title: &str, content: &Markup) -> Markup {
    document(title, "narrow", true, &beside_brand(title, None, content))
}

fn beside_brand(title: &str, notice: Option<Notice>, content: &Markup) -> Markup {
    html! {
        div.halves {
            aside.brand {
                div.brand-inside {
                    p.brand-name { (icon::mark()) span { "Nexus COS" } }
                    p.brand-claim { "One place to create, stream, sell and grow." }
                    ul.brand-points {
                        li { (icon::shield()) span { "Passkeys and two-step sign-in" } }
                        li { (icon::devices()) span { "Every device in view" } }
                        li { (icon::key()) span { "Keys that may do only what you allow" } }
                    }
                }
            }
            div.form-half {
                header.top { (logo()) }
                main #main tabindex="-1" {
                    @if let Some(notice) = notice { (notice.bar()) }
                    h1 { (title) }
                    (content)
                }
                (footer())
            }
        }
    }
}

/// A page of one's own account.
pub fn account(menu: Menu, title: &str, notice: Option<Notice>, content: &Markup) -> Markup {
    let body = html! {
        header.top {
            (logo())
            form.sign method="post" action="/account/sign-out" {
                button.button.quiet type="submit" { (icon::leave()) span { "Sign out" } }
            }
        }
        div.account-frame {
            nav.menu aria-label="Account" {
                ul {
                    @for entry in Menu::ALL {
                        li {
                            a href=(entry.path()) aria-current=[(entry == menu).then_some("page")] {
                                (entry.icon()) span { (entry.label()) }
                            }
                        }
                    }
                }
            }
            main #main tabindex="-1" {
                @if let Some(notice) = notice { (notice.bar()) }
                h1 { (title) }
                (content)
            }
        }
        (footer())
    };
    document(title, "account", false, &body)
}

/// A page that says why there is none.
pub fn trouble(title: &str, words: &str, request_id: &str) -> Markup {
    let body = html! {
        header.top { (logo()) }
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
    document(title, "site", false, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_page_holds_script_or_style_of_its_own() {
        let content = html! { p { "hello" } };
        for shown in [
            site("A", false, None, &content),
            narrow("A", None, &content),
            focus("A", &content),
            account(Menu::Keys, "A", None, &content),
            trouble("A", "b", "r-1"),
        ] {
            let shown = shown.into_string();
            for banned in ["<style", " style=", " onclick=", " onload=", "<script>"] {
                assert!(!shown.contains(banned), "{banned} in {shown}");
            }
            assert!(shown.starts_with("<!DOCTYPE html>"), "{shown}");
            assert!(
                shown.contains("lang=\"en\"") && shown.contains("<h1>") || shown.contains("main")
            );
        }
    }

    #[test]
    fn a_title_is_text() {
        let shown = trouble("<script>", "<b>", "\"><i>").into_string();
        assert!(!shown.contains("<script>") && !shown.contains("<b>") && !shown.contains("<i>"));
    }

    #[test]
    fn the_menu_says_where_one_is() {
        let shown = account(Menu::Keys, "API keys", None, &html! {}).into_string();
        assert_eq!(shown.matches("aria-current=\"page\"").count(), 1);
    }
}
