//! The form of a title. Knows its fields and their order; what stands in them is `title/draft.rs`.

use crate::film::{self, Film};
use crate::prelude::*;
use crate::title::Title;
use crate::title::draft::{Draft, GENRES};

/// Ages from which something may be seen.
pub const MATURITY: [(&str, &str); 5] = [
    ("all", "Everybody"),
    ("7", "From 7 years"),
    ("12", "From 12 years"),
    ("16", "From 16 years"),
    ("18", "Adults"),
];

/// Empty rows that one may fill in; saving brings more.
const EMPTY_ROWS: usize = 1;

pub fn form(title: &Title, draft: &Draft, films: &[Film], complaints: &Complaints) -> Markup {
    html! {
        form.card.stack.wide-form method="post" action=(title.path()) data-draft {
            (hidden("version", &draft.version))
            h2 { "What it is" }
            (Field::text("name", "Name").value(&draft.name).length_max(200).show(complaints))
            (Field::text("tagline", "In one line").value(&draft.tagline).optional()
                .length_max(200).show(complaints))
            (Field::area("synopsis", "Synopsis", 5).value(&draft.synopsis).optional()
                .hint("What happens, without the end.").show(complaints))
            @if !title.is_series() { (film_of(draft, films, complaints)) }
            div.pair {
                (Field::choice("maturity", "Who may see it", &MATURITY).value(&draft.maturity)
                    .show(complaints))
                (Field::number("year", "Year").value(&draft.year).optional().show(complaints))
            }
            div.pair {
                (Field::text("language", "Language").value(&draft.language).length_max(35)
                    .hint("Its short name: en, de, pt-BR.").show(complaints))
                (Field::text("slug", "Name in addresses").value(&draft.slug).optional()
                    .hint("Small letters, digits and dashes.").show(complaints))
            }
            (genres(draft, complaints))
            (more(draft, complaints))
            (rights(draft, complaints))
            (words(draft, complaints))
            (artwork(title, draft, complaints))
            div.actions.save {
                (submit("Save"))
                p.item-more data-unsaved hidden { "Not saved yet" }
            }
        }
    }
}

fn film_of(draft: &Draft, films: &[Film], complaints: &Complaints) -> Markup {
    let mut options = film::options(films);
    // One that is not among the latest stays chosen.
    if !options.iter().any(|(id, _)| *id == draft.asset) {
        options.push((draft.asset.clone(), "The film of now".to_owned()));
    }
    let options: Vec<_> = options.iter().map(|(id, name)| (id.as_str(), name.as_str())).collect();
    Field::choice("asset", "Film", &options).value(&draft.asset).show(complaints)
}

fn genres(draft: &Draft, complaints: &Complaints) -> Markup {
    html! {
        fieldset #genres {
            legend { "Genres" }
            div.ticks {
                @for genre in GENRES {
                    label.chip {
                        input type="checkbox" name="genres" value=(genre)
                            checked[draft.genres.iter().any(|chosen| chosen == genre)];
                        span { (genre) }
                    }
                }
            }
            (complaint("genres", complaints))
        }
        div.pair {
            (Field::text("more_genres", "Other genres").value(&draft.more_genres).optional()
                .hint("With commas between them.").show(complaints))
            (Field::text("tags", "Tags").value(&draft.tags).optional().length_max(1000)
                .hint("With commas between them.").show(complaints))
        }
    }
}

fn complaint(name: &str, complaints: &Complaints) -> Markup {
    html! {
        @if let Some(sentence) = complaints.of_field(name) { p.complaint { (sentence) } }
    }
}

fn more(draft: &Draft, complaints: &Complaints) -> Markup {
    html! {
        (Field::area("credits", "Who made it", 4).value(&draft.credits).optional()
            .hint("A line each, such as director: Agnès Varda.").show(complaints))
        (Field::area("cues", "What viewers may skip", 2).value(&draft.cues).optional()
            .hint("A line each: intro, recap or credits with its begin and end, such as \
                   intro 0:05 0:35.").show(complaints))
    }
}

fn rights(draft: &Draft, complaints: &Complaints) -> Markup {
    let empty = vec![<[String; 3]>::default(); EMPTY_ROWS];
    html! {
        fieldset #rights {
            legend { "Where and when it may be shown" }
            p.hint {
                "Countries by their two letters, such as DE, AT; times are UTC. Without a line it \
                 may be shown everywhere, always."
            }
            @for (at, [places, from, until]) in draft.rights.iter().chain(&empty).enumerate() {
                div.triple {
                    (cell("right_places", at, "Countries", "text", places))
                    (cell("right_from", at, "From", "datetime-local", from))
                    (cell("right_until", at, "Until", "datetime-local", until))
                }
            }
            (complaint("rights", complaints))
        }
    }
}

fn words(draft: &Draft, complaints: &Complaints) -> Markup {
    let empty = vec![<[String; 3]>::default(); EMPTY_ROWS];
    html! {
        fieldset #localisations {
            legend { "In other languages" }
            @for (at, [language, name, synopsis]) in draft.words.iter().chain(&empty).enumerate() {
                div.triple {
                    (cell("words_language", at, "Language", "text", language))
                    (cell("words_name", at, "Name", "text", name))
                    (cell("words_synopsis", at, "Synopsis", "text", synopsis))
                }
            }
            (complaint("localisations", complaints))
        }
    }
}

/// A field of a row; rows have the same names, and ids of their own.
fn cell(name: &str, at: usize, label: &str, kind: &str, value: &str) -> Markup {
    let id = format!("{name}-{at}");
    html! {
        div.field {
            label for=(id) { (label) span.away { ", line " (at + 1) } }
            input id=(id) name=(name) type=(kind) value=(value) maxlength="2000"
                autocomplete="off";
        }
    }
}

fn artwork(title: &Title, draft: &Draft, complaints: &Complaints) -> Markup {
    let now = |path: &Option<String>| match path {
        Some(_) => "There is one. Write an address to take another, or - for the film's own.",
        None => "An address on this site; empty is the film's own picture.",
    };
    html! {
        details.more id="artwork" open[complaints.of_field("artwork").is_some()] {
            summary { "Pictures of its own" }
            div.pair {
                (Field::text("poster", "Poster").value(&draft.poster).optional()
                    .length_max(1000).hint(now(&title.artwork.poster)).show(complaints))
                (Field::text("backdrop", "Backdrop").value(&draft.backdrop).optional()
                    .length_max(1000).hint(now(&title.artwork.backdrop)).show(complaints))
            }
            (complaint("artwork", complaints))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_rows_are_told_apart_and_nothing_typed_is_markup() {
        let hostile = ["\"><b>".to_owned(), String::new(), String::new()];
        let draft = Draft { rights: vec![hostile], ..Draft::default() };
        let shown = form(&Title::default(), &draft, &[], &Complaints::none()).into_string();
        assert!(!shown.contains("<b>"), "{shown}");
        for at in 0..2 {
            let id = format!("id=\"right_places-{at}\"");
            assert_eq!(shown.matches(&id).count(), 1, "{id}: {shown}");
        }
    }

    #[test]
    fn a_film_that_is_not_among_the_latest_stays_chosen() {
        let draft = Draft { asset: "01890000-aaaa".into(), ..Draft::default() };
        let shown = form(&Title::default(), &draft, &[], &Complaints::none()).into_string();
        assert!(shown.contains("value=\"01890000-aaaa\" selected"), "{shown}");
    }
}
