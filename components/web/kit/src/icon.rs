//! The drawings: one stroke width, one size, the colour of the text around them. They stand in
//! the page, since a style sheet's own pictures could not take its colours.

use maud::{Markup, PreEscaped, html};

/// The mark of Nexus COS: the N of its logo.
pub const MARK_SVG: &str = include_str!("../assets/mark.svg");

macro_rules! icons {
    ($($name:ident = $paths:literal);* $(;)?) => {$(
        #[doc = concat!("`", stringify!($name), "`; says nothing to a screen reader.")]
        pub fn $name() -> Markup {
            stroke($paths)
        }
    )*};
}

icons! {
    check = r#"<path d="M20 6 9 17l-5-5"/>"#;
    warning = r#"<path d="M12 3 2 20h20L12 3Z"/><path d="M12 10v4M12 17h.01"/>"#;
    home = r#"<path d="m3 11 9-8 9 8"/><path d="M5 9.5V20h14V9.5M10 20v-6h4v6"/>"#;
    person = r#"<circle cx="12" cy="8" r="4"/><path d="M4 21c1-4.5 4-6 8-6s7 1.5 8 6"/>"#;
    shield = r#"<path d="M12 3 4 6v6c0 5 3.5 7.8 8 9 4.5-1.2 8-4 8-9V6l-8-3Z"/>
        <path d="m9 12 2.2 2.2L15.5 10"/>"#;
    devices = r#"<rect x="2" y="4" width="14" height="11" rx="2"/><path d="M6 19h6M9 15v4"/>
        <rect x="17" y="9" width="5" height="10" rx="1.5"/>"#;
    key = r#"<circle cx="8" cy="15" r="4.5"/><path d="m11.5 11.5 8-8M16 7l3 3M13.5 9.5l2 2"/>"#;
    people = r#"<circle cx="9" cy="8" r="3.5"/><path d="M2.5 20c.7-4 3.2-5.5 6.5-5.5"/>
        <path d="M9 14.5c3.3 0 5.8 1.5 6.5 5.5M16 4.8a3.5 3.5 0 0 1 0 6.4M18 14.8"/>
        <path d="M18 14.8c2 .7 3.2 2.4 3.6 5.2"/>"#;
    passkey = r#"<circle cx="10" cy="7" r="4"/><path d="M2.5 21c.8-4.5 3.8-6.5 7.5-6.5"/>
        <circle cx="17" cy="13.5" r="3"/><path d="M17 16.5V22M17 19.5h2"/>"#;
    phone = r#"<rect x="6" y="2" width="12" height="20" rx="3"/><path d="M11 18h2"/>"#;
    lock = r#"<rect x="4" y="10.5" width="16" height="10.5" rx="2.5"/>
        <path d="M8 10.5V7a4 4 0 0 1 8 0v3.5M12 15v2"/>"#;
    mail = r#"<rect x="2.5" y="4.5" width="19" height="15" rx="2.5"/>
        <path d="m3.5 6.5 8.5 6.5 8.5-6.5"/>"#;
    leave = r#"<path d="M14 4H6a2 2 0 0 0-2 2v12a2 2 0 0 0 2 2h8M16 8l4 4-4 4M20 12H9"/>"#;
    forward = r#"<path d="M5 12h14M13 6l6 6-6 6"/>"#;
    film = r#"<rect x="3" y="4" width="18" height="16" rx="2.5"/>
        <path d="M8 4v16M16 4v16M3 9h5M3 15h5M16 9h5M16 15h5"/>"#;
    stream = r#"<path d="M5 8a9 9 0 0 0 0 8M19 8a9 9 0 0 1 0 8M8 10a4.5 4.5 0 0 0 0 4"/>
        <path d="M16 10a4.5 4.5 0 0 1 0 4"/><circle cx="12" cy="12" r="1.5"/>"#;
    coins = r#"<ellipse cx="12" cy="6" rx="8" ry="3"/><path d="M4 6v6c0 1.7 3.6 3 8 3s8-1.3 8-3"/>
        <path d="M20 6v12c0 1.7-3.6 3-8 3s-8-1.3-8-3v-6M20 12"/>"#;
    route = r#"<circle cx="6" cy="18" r="2.5"/><circle cx="18" cy="6" r="2.5"/>
        <path d="M8.5 18H15a3.5 3.5 0 0 0 0-7H9a3.5 3.5 0 0 1 0-7h6.5"/>"#;
    layers = r#"<path d="m12 3 9 5-9 5-9-5 9-5Z"/><path d="m3 12.5 9 5 9-5M3 17l9 5 9-5"/>"#;
    bolt = r#"<path d="M13 2 4 14h7l-1 8 9-12h-7l1-8Z"/>"#;
    upload = r#"<path d="M12 16V4M7 9l5-5 5 5"/>
        <path d="M4 15v3a2 2 0 0 0 2 2h12a2 2 0 0 0 2-2v-3"/>"#;
    play = r#"<path d="M7 4.5v15l12-7.5-12-7.5Z"/>"#;
    pause = r#"<path d="M8 5v14M16 5v14"/>"#;
    cross = r#"<path d="M6 6l12 12M18 6 6 18"/>"#;
    plus = r#"<path d="M12 5v14M5 12h14"/>"#;
    up = r#"<path d="M12 19V5M6 11l6-6 6 6"/>"#;
    down = r#"<path d="M12 5v14M6 13l6 6 6-6"/>"#;
    again = r#"<path d="M20 12a8 8 0 1 1-2.6-5.9L20 8.5"/><path d="M20 3.5v5h-5"/>"#;
    bin = r#"<path d="M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5"/>"#;
    clock = r#"<circle cx="12" cy="12" r="8.5"/><path d="M12 7v5l3.5 2"/>"#;
    eye = r#"<path d="M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12Z"/>
        <circle cx="12" cy="12" r="2.75"/>"#;
    rows = r#"<rect x="3" y="4.5" width="18" height="6" rx="1.5"/>
        <rect x="3" y="13.5" width="18" height="6" rx="1.5"/><path d="M9 4.5v6M15 13.5v6"/>"#;
    captions = r#"<rect x="3" y="5" width="18" height="14" rx="2.5"/>
        <path d="M10.5 10.5a2.2 2.2 0 1 0 0 3M17 10.5a2.2 2.2 0 1 0 0 3"/>"#;
    code = r#"<path d="m8 7-5 5 5 5M16 7l5 5-5 5M14 4l-4 16"/>"#;
}

fn stroke(paths: &'static str) -> Markup {
    html! {
        svg.icon viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75"
            stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false" {
            (PreEscaped(paths))
        }
    }
}

/// The mark, as part of a page.
pub fn mark() -> Markup {
    html! { span.mark aria-hidden="true" { (PreEscaped(MARK_SVG)) } }
}
