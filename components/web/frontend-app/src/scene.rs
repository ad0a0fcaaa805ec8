//! What is around these pages: the site, one narrow form, the account.

use crate::assets;
use web_kit::document;
use web_kit::prelude::*;

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
}

/// The account's menu, in its order.
const ENTRIES: [Entry; 7] = [
    Entry { path: "/account", label: "Overview", icon: icon::home },
    Entry { path: "/account/profile", label: "Profile", icon: icon::person },
    Entry { path: "/account/security", label: "Security", icon: icon::shield },
    Entry { path: "/account/sessions", label: "Devices", icon: icon::devices },
    Entry { path: "/account/programs", label: "Connected apps", icon: icon::layers },
    Entry { path: "/account/keys", label: "API keys", icon: icon::key },
    Entry { path: "/account/organisations", label: "Organisations", icon: icon::people },
];

fn document<'a>(title: &'a str, scene: &'a str) -> Document<'a> {
    Document::new(title, scene).style(assets::SITE_STYLE.path())
}

/// A page of the public site.
pub fn site(title: &str, signed_in: bool, notice: Option<Notice>, content: &Markup) -> Markup {
    let sign = html! {
        nav.sign aria-label="Account" {
            a.button.quiet href="/tv" { (icon::play()) "Watch" }
            @if signed_in {
                a.button.quiet href="/creator" { (icon::film()) "Studio" }
                a.button.primary href="/account" { "Your account" }
            } @else {
                a.button.quiet href="/account/sign-in" { "Sign in" }
                a.button.primary href="/account/register" { "Create account" }
            }
        }
    };
    let body = html! {
        (document::top(&sign))
        (document::main(notice, content))
        (document::footer())
    };
    document(title, "site").show(&body)
}

/// One form and nothing that distracts from it.
pub fn narrow(title: &str, notice: Option<Notice>, content: &Markup) -> Markup {
    document(title, "narrow").show(&beside_brand(title, notice, content))
}

/// As [`narrow`], with the script that speaks with the browser's passkeys.
pub fn focus(title: &str, content: &Markup) -> Markup {
    let document = document(title, "narrow").script(assets::PASSKEY_SCRIPT.path());
    document.show(&beside_brand(title, None, content))
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
                (document::top(&html! {}))
                (document::main(notice, &html! { h1 { (title) } (content) }))
                (document::footer())
            }
        }
    }
}

/// A page of one's own account.
pub fn account(menu: Menu, title: &str, notice: Option<Notice>, content: &Markup) -> Markup {
    let body = html! {
        (document::top(&document::sign_out()))
        div.account-frame {
            (document::menu("Account", &ENTRIES, menu.path()))
            (document::main(notice, &html! { h1 { (title) } (content) }))
        }
        (document::footer())
    };
    document(title, "account").show(&body)
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
        ] {
            let shown = shown.into_string();
            for banned in ["<style", " style=", " onclick=", " onload=", "<script>"] {
                assert!(!shown.contains(banned), "{banned} in {shown}");
            }
            assert!(shown.contains("<h1>") || shown.contains("main"), "{shown}");
        }
    }

    #[test]
    fn the_menu_says_where_one_is() {
        let shown = account(Menu::Keys, "API keys", None, &html! {}).into_string();
        assert_eq!(shown.matches("aria-current=\"page\"").count(), 1);
    }
}
