//! What a page says after a form was sent and the browser was sent on: one of a front end's own
//! sentences, by its word in the query. Refuses any other text: a link could put words into our
//! mouth.

use crate::icon;
use maud::{Markup, html};

/// A sentence to be shown once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notice {
    word: &'static str,
    sentence: &'static str,
}

/// The sentences of a front end, `NAME = "word", "Sentence.";` each: makes a constant of each, a
/// list `ALL` of them, and `of(&Visitor)`, the one that the last page has left for this one.
#[macro_export]
macro_rules! notices {
    ($($name:ident = $word:literal, $sentence:literal);* $(;)?) => {
        $(pub const $name: $crate::notice::Notice =
            $crate::notice::Notice::new($word, $sentence);)*

        /// All of them.
        pub const ALL: &[$crate::notice::Notice] = &[$($name),*];

        /// The notice that the last page has left for this one.
        pub fn of(visitor: &$crate::visitor::Visitor) -> Option<$crate::notice::Notice> {
            $crate::notice::Notice::named(ALL, visitor.query("notice"))
        }
    };
}

impl Notice {
    /// `word` stands in the query as it is: letters and dashes.
    pub const fn new(word: &'static str, sentence: &'static str) -> Notice {
        Notice { word, sentence }
    }

    /// Its word in a query.
    pub fn word(self) -> &'static str {
        self.word
    }

    /// The notice of a word in a query, of those that there are.
    pub fn named(all: &[Notice], word: &str) -> Option<Notice> {
        all.iter().find(|notice| notice.word == word).copied()
    }

    /// `path` with this notice to be shown there.
    pub fn on(self, path: &str) -> String {
        let (path, fragment) = match path.split_once('#') {
            Some((path, fragment)) => (path, format!("#{fragment}")),
            None => (path, String::new()),
        };
        let joint = if path.contains('?') { '&' } else { '?' };
        format!("{path}{joint}notice={}{fragment}", self.word)
    }

    /// The bar that says it; `status` is read out without taking the focus.
    pub fn bar(self) -> Markup {
        html! {
            div.notice role="status" { (icon::check()) p { (self.sentence) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAVED: Notice = Notice::new("saved", "It is saved.");

    #[test]
    fn only_our_own_sentences_are_shown() {
        assert_eq!(Notice::named(&[SAVED], "saved"), Some(SAVED));
        for word in ["", "SAVED", "<b>hello</b>", "call +1 555 0100"] {
            assert_eq!(Notice::named(&[SAVED], word), None);
        }
    }

    #[test]
    fn a_notice_joins_a_query_that_is_there_and_stands_before_the_fragment() {
        assert_eq!(SAVED.on("/"), "/?notice=saved");
        assert_eq!(SAVED.on("/a?b=c"), "/a?b=c&notice=saved");
        assert_eq!(SAVED.on("/a#totp"), "/a?notice=saved#totp");
    }
}
