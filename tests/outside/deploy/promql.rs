//! As much of PromQL as it takes to say which metrics a query asks for, and by which labels.
//! Refuses to know what a query means: that is `promtool`'s, where there is one.

use std::collections::BTreeSet;

/// A metric, and every label by which the query chooses or groups it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub metric: String,
    pub labels: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    /// The labels between braces.
    Matchers(Vec<String>),
    Open,
    Close,
    Other,
}

const NO_METRICS: [&str; 7] = ["and", "or", "unless", "bool", "offset", "inf", "nan"];
const GROUPING: [&str; 2] = ["by", "without"];
const MATCHING: [&str; 4] = ["on", "ignoring", "group_left", "group_right"];

/// What a query asks for.
///
/// # Panics
///
/// When a query groups behind its brackets: `sum by (a) (b)` says first what comes out.
pub fn asked(query: &str) -> Vec<Asked> {
    let tokens = tokens(query);
    let mut all: Vec<(usize, Asked)> = Vec::new();
    let mut wanted: Vec<(std::ops::Range<usize>, Vec<String>)> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let Token::Word(word) = &tokens[at] else {
            at += 1;
            continue;
        };
        let grouping = GROUPING.contains(&word.as_str());
        if grouping || MATCHING.contains(&word.as_str()) {
            let end = closing(&tokens, at + 1);
            let labels = list(&tokens[at + 2..end]);
            let range = match grouping {
                true => {
                    assert_eq!(tokens.get(end + 1), Some(&Token::Open), "say it before: {query}");
                    end + 2..closing(&tokens, end + 1)
                }
                false => 0..tokens.len(),
            };
            wanted.push((range, labels));
            at = end + 1;
            continue;
        }
        let called = match tokens.get(at + 1) {
            Some(Token::Word(next)) => GROUPING.contains(&next.as_str()),
            next => next == Some(&Token::Open),
        };
        if !called && !NO_METRICS.contains(&word.as_str()) {
            let labels = match tokens.get(at + 1) {
                Some(Token::Matchers(labels)) => labels.iter().cloned().collect(),
                _ => BTreeSet::new(),
            };
            all.push((at, Asked { metric: word.clone(), labels }));
        }
        at += 1;
    }
    for (range, labels) in wanted {
        let within = all.iter_mut().filter(|(at, _)| range.contains(at));
        within.for_each(|(_, asked)| asked.labels.extend(labels.iter().cloned()));
    }
    all.into_iter().map(|(_, asked)| asked).filter(|asked| !is_number(&asked.metric)).collect()
}

/// The labels that a query's result has, if it groups; they are all it has.
pub fn grouped(query: &str) -> Option<BTreeSet<String>> {
    let tokens = tokens(query);
    let by = |at: &usize| tokens[*at] == Token::Word("by".into());
    let found: Vec<usize> = (0..tokens.len()).filter(by).collect();
    let labels = found.iter().flat_map(|at| list(&tokens[at + 2..closing(&tokens, at + 1)]));
    let mut labels: BTreeSet<String> = labels.collect();
    // A histogram's bounds do not survive its quantile.
    labels.remove("le");
    (!found.is_empty()).then_some(labels)
}

fn is_number(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_digit())
}

/// Where the bracket that opens at `open` closes.
fn closing(tokens: &[Token], open: usize) -> usize {
    assert_eq!(tokens.get(open), Some(&Token::Open), "a bracket is missing");
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token {
            Token::Open => depth += 1,
            Token::Close if depth == 1 => return at,
            Token::Close => depth -= 1,
            _ => {}
        }
    }
    panic!("a bracket that does not close");
}

fn list(tokens: &[Token]) -> Vec<String> {
    let word = |token: &Token| match token {
        Token::Word(word) => Some(word.clone()),
        _ => None,
    };
    tokens.iter().filter_map(word).collect()
}

fn tokens(query: &str) -> Vec<Token> {
    let mut rest = query;
    let mut all = Vec::new();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '(' => (Some(Token::Open), 1),
            ')' => (Some(Token::Close), 1),
            '[' => (None, rest.find(']').expect("a range ends") + 1),
            '"' => (Some(Token::Other), quoted(rest)),
            '{' => {
                let (labels, length) = matchers(rest);
                (Some(Token::Matchers(labels)), length)
            }
            c if is_word(c) => {
                let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                (Some(Token::Word(rest[..length].to_owned())), length)
            }
            c if c.is_whitespace() => (None, c.len_utf8()),
            c => (Some(Token::Other), c.len_utf8()),
        };
        all.extend(token);
        rest = &rest[length..];
    }
    all
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.')
}

/// The length of the string at the beginning, quotes included.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    panic!("a string that does not end: {text}");
}

fn matchers(text: &str) -> (Vec<String>, usize) {
    let mut labels = Vec::new();
    let mut at = 1;
    while !text[at..].starts_with('}') {
        let rest = &text[at..];
        if rest.starts_with('"') {
            at += quoted(rest);
        } else if rest.starts_with(is_word) {
            let length = rest.find(|c| !is_word(c)).expect("a label has a value");
            labels.push(rest[..length].to_owned());
            at += length;
        } else {
            at += rest.chars().next().expect("braces close").len_utf8();
        }
    }
    (labels, at + 1)
}

#[test]
fn a_query_asks_for_each_metric_by_the_labels_around_it() {
    let query = r#"histogram_quantile(0.99, sum by (a, le) (rate(x_bucket{b=~"c{,}", d!="e"}[5m])))
        > 2 and on (f) y or vector(0) + 1e3"#;
    let found: Vec<_> = asked(query)
        .into_iter()
        .map(|asked| (asked.metric, asked.labels.into_iter().collect::<Vec<_>>().join(" ")))
        .collect();
    assert_eq!(found, [("x_bucket".into(), "a b d f le".into()), ("y".into(), "f".into())]);
    assert_eq!(grouped(query).unwrap().into_iter().collect::<Vec<_>>(), ["a"]);
    assert_eq!(grouped("x"), None);
}
