//! Messages that a statement hands to a queue, as spans of a trace that is exported: each has its
//! own, and carries on with that. Where nothing is exported, statements are not even looked at.
//!
//! Knows the platform's functions as the SDK calls them, by parameters and plain words; what is
//! written otherwise goes as it is, with the context that its author gave. Reads as much SQL as it
//! takes to leave comments, texts and quoted names alone (PostgreSQL documentation, "Lexical
//! Structure").

use crate::host::spin::postgres::postgres::ParameterValue;
use nexus_observability::work::{Letter, Sending};
use nexus_runtime::ComponentId;

/// The spans that a statement has begun.
pub(crate) struct Sends(Vec<(Sending, Letter)>);

/// One function, and where it has what.
struct Function {
    name: &'static str,
    operation: &'static str,
    destination: usize,
    id: usize,
    trace: usize,
}

/// As `migrations/platform` declares them.
const FUNCTIONS: [Function; 3] = [
    Function { name: "publish_with", operation: "publish", destination: 0, id: 1, trace: 5 },
    Function { name: "publish", operation: "publish", destination: 0, id: 1, trace: 5 },
    Function { name: "job_submit", operation: "submit", destination: 0, id: 1, trace: 4 },
];

/// The schema of all of them.
const SCHEMA: &str = "platform.";

/// A call of one of the functions.
#[derive(Debug, PartialEq, Eq)]
struct Called<'a> {
    operation: &'static str,
    destination: Argument<'a>,
    id: Argument<'a>,
    /// The place of the parameter with the context, from 0.
    trace: usize,
}

/// What stands for an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Argument<'a> {
    /// The place of a parameter, from 0.
    Parameter(usize),
    Word(&'a str),
}

impl Sends {
    /// Begins a span for each message, and puts it where the message's context was.
    pub(crate) fn begin(by: &ComponentId, sql: &str, params: &mut [ParameterValue]) -> Self {
        let mut begun = Vec::new();
        if !Sending::is_told() {
            return Self(begun);
        }
        let mut taken = Vec::new();
        for called in called(sql) {
            // Messages that share a context have one span.
            if taken.contains(&called.trace) {
                continue;
            }
            if let Some(sent) = called.send(by, params) {
                taken.push(called.trace);
                begun.push(sent);
            }
        }
        Self(begun)
    }

    /// The statement has run, or has not.
    pub(crate) fn end<T, E>(self, outcome: &Result<T, E>) {
        let error = outcome.is_err().then_some("not-committed");
        self.0.into_iter().for_each(|(sending, letter)| sending.end(letter, error));
    }
}

impl Called<'_> {
    fn send(&self, by: &ComponentId, params: &mut [ParameterValue]) -> Option<(Sending, Letter)> {
        let sending = Sending::below(&Argument::Parameter(self.trace).said(params)?)?;
        let letter = Letter {
            component: by.to_string(),
            destination: self.destination.said(params)?,
            message: self.id.said(params)?,
            operation: self.operation,
        };
        params[self.trace] = ParameterValue::Str(sending.context());
        Some((sending, letter))
    }
}

impl<'a> Argument<'a> {
    /// None for anything else, such as an expression.
    fn read(text: &'a str) -> Option<Self> {
        let mut text = text.trim();
        while text.starts_with("--") || text.starts_with("/*") {
            text = text[no_code(text, None)?..].trim_start();
        }
        let text = text.split_once("::").map_or(text, |(value, _type)| value.trim_end());
        if let Some(number) = text.strip_prefix('$') {
            return Some(Self::Parameter(number.parse::<usize>().ok()?.checked_sub(1)?));
        }
        let word = text.strip_prefix('\'')?.strip_suffix('\'')?;
        (!word.contains('\'')).then_some(Self::Word(word))
    }

    fn said(self, params: &[ParameterValue]) -> Option<String> {
        match self {
            Argument::Word(word) => Some(word.to_owned()),
            Argument::Parameter(place) => match params.get(place)? {
                ParameterValue::Str(text) | ParameterValue::Uuid(text) => Some(text.clone()),
                _ => None,
            },
        }
    }
}

/// The calls that a statement makes, as far as they can be told.
fn called(sql: &str) -> Vec<Called<'_>> {
    let mut found = Vec::new();
    let (mut at, mut before) = (0, None);
    while let Some(next) = sql[at..].chars().next() {
        let rest = &sql[at..];
        if let Some(length) = no_code(rest, before) {
            at += length;
            before = Some(' ');
            continue;
        }
        if !before.is_some_and(|c| is_of_a_name(c) || c == '.') {
            found.extend(call(rest));
        }
        at += next.len_utf8();
        before = Some(next);
    }
    found
}

/// The call that begins here.
fn call(text: &str) -> Option<Called<'_>> {
    let (function, rest) = FUNCTIONS.iter().find_map(|function| {
        let rest = after(after(text, SCHEMA)?, function.name)?.trim_start();
        Some((function, rest.strip_prefix('(')?))
    })?;
    let arguments = arguments(rest)?;
    let argument = |at: usize| Argument::read(arguments.get(at)?);
    let Argument::Parameter(trace) = argument(function.trace)? else { return None };
    Some(Called {
        operation: function.operation,
        destination: argument(function.destination)?,
        id: argument(function.id)?,
        trace,
    })
}

/// What comes after a name that the server reads in any case of its letters.
fn after<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let head = text.get(..name.len())?;
    head.eq_ignore_ascii_case(name).then(|| &text[name.len()..])
}

/// The arguments up to the parenthesis that closes them.
fn arguments(text: &str) -> Option<Vec<&str>> {
    let (mut all, mut from, mut at, mut depth) = (Vec::new(), 0, 0, 0_u32);
    let mut before = None;
    while let Some(next) = text[at..].chars().next() {
        if let Some(length) = no_code(&text[at..], before) {
            at += length;
            before = Some(' ');
            continue;
        }
        match next {
            '(' | '[' => depth += 1,
            ')' if depth == 0 => {
                all.push(&text[from..at]);
                return Some(all);
            }
            ')' | ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                all.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
        at += next.len_utf8();
        before = Some(next);
    }
    None
}

fn is_of_a_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// The length of a comment, a text or a quoted name that begins here; `before` is the character
/// before it. One that does not end goes to the end.
fn no_code(text: &str, before: Option<char>) -> Option<usize> {
    let all = text.len();
    let through = |end: Option<usize>, more: usize| Some(end.map_or(all, |at| at + more));
    match text.as_bytes() {
        [b'-', b'-', ..] => through(text.find('\n'), 1),
        [b'/', b'*', ..] => Some(comment(text)),
        [b'"', ..] => Some(quoted(text, '"', false)),
        [b'\'', ..] => Some(quoted(text, '\'', matches!(before, Some('e' | 'E')))),
        [b'$', ..] if !before.is_some_and(is_of_a_name) => {
            let tag = &text[..text[1..].find('$')? + 2];
            let name = &tag[1..tag.len() - 1];
            let is_tag = !name.starts_with(|c: char| c.is_ascii_digit())
                && name.chars().all(|c| is_of_a_name(c) && c != '$');
            let end = || text[tag.len()..].find(tag).map(|at| tag.len() + at);
            is_tag.then(|| end().map_or(all, |at| at + tag.len()))
        }
        _ => None,
    }
}

/// Comments stand in comments.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_u32, 0);
    while at < text.len() {
        match text.as_bytes()[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                at += 2;
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    at
}

/// A quote is doubled inside; in some texts, a backslash takes the next character along.
fn quoted(text: &str, quote: char, escapes: bool) -> usize {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if c == '\\' && escapes {
            characters.next();
        } else if c == quote && characters.next_if(|(_, next)| *next == quote).is_none() {
            return at + quote.len_utf8();
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As the SDK calls it, with the parameters from this one on.
    fn publish(first: usize) -> (String, Called<'static>) {
        let places: Vec<_> = (first..first + 6).map(|n| format!("${n}")).collect();
        let called = Called {
            operation: "publish",
            destination: Argument::Parameter(first - 1),
            id: Argument::Parameter(first),
            trace: first + 4,
        };
        (format!("platform.publish({})", places.join(", ")), called)
    }

    #[test]
    fn each_call_of_a_statement_is_found_with_its_own_parameters() {
        let ((one, is_one), (two, is_two)) = (publish(3), publish(9));
        let insert = "insert into catalog.lamp (tenant_id, watts) values ($1, $2)";
        let folded = format!("with written as ({insert}\n) select {one}, {two}");
        assert_eq!(called(&folded), [is_one, is_two]);
        let submit = "select platform.job_submit('transcode', $1, $2, $3, $4, $5)";
        let is_submit = Called {
            operation: "submit",
            destination: Argument::Word("transcode"),
            id: Argument::Parameter(0),
            trace: 3,
        };
        assert_eq!(called(submit), [is_submit]);
        let several = format!(
            "with a as ({insert} returning id), b as (insert into catalog.shelf select id from a),
             c as (select {}) select 1",
            publish(3).0
        );
        assert_eq!(called(&several), [publish(3).1]);
        assert_eq!(called(insert), []);
        assert_eq!(called(""), []);
    }

    #[test]
    fn a_call_is_found_however_it_is_spelt() {
        let (_, expected) = publish(1);
        for sql in [
            "SELECT PLATFORM.PUBLISH($1, $2, $3, $4, $5, $6)",
            "select Platform.Publish ( $1,$2,$3,$4,$5,$6 )",
            "select platform.publish($1::text, $2::uuid, $3, $4, $5::jsonb, $6::text)",
            "select platform.publish($1, $2, coalesce($7, lower('a,b')), $4, '{}'::jsonb, $6)",
            "select platform.publish($1, -- a topic, and (\n $2, /* , */ $3, $4, $5, $6)",
            "select platform.publish_with($1, $2, $3, $4, $5, $6, $7)",
            "select 'it''s platform.publish(' || platform.publish($1, $2, $3, $4, $5, $6)",
        ] {
            assert_eq!(called(sql).as_slice(), std::slice::from_ref(&expected), "{sql}");
        }
    }

    #[test]
    fn what_only_looks_like_a_call_is_none() {
        let (call, _) = publish(1);
        for sql in [
            format!("select 1 -- {call}"),
            format!("select 1 /* {call} */"),
            format!("select 1 /* /* */ {call} */"),
            format!("select '{call}'"),
            format!("select 'it''s {call}'"),
            format!("select E'\\' {call}'"),
            format!("select $${call}$$, $a$ $$ {call} $a$"),
            format!("select \"{call}\""),
            format!("select \"a\"\"{call}\" from b"),
            format!("select my_{call}"),
            format!("select other.{call}"),
            call.replace("platform.publish", "platform.\"publish\""),
            call.replace("publish", "publisher"),
            "select platform.publish".into(),
            "select platform.publish($1, $2".into(),
            "select platform.publish($1, $2, $3)".into(),
            "select platform.publish($1, $2, $3, $4, $5, 'no context')".into(),
            "select platform.publish($1, $2, $3, $4, $5, $0)".into(),
            "select platform.publish('it''s', $1, $2, $3, $4, $5)".into(),
            "select platform.publish(lower($1), $2, $3, $4, $5, $6)".into(),
        ] {
            assert_eq!(called(&sql), [], "{sql}");
        }
    }

    #[test]
    fn a_call_behind_what_is_no_code_is_found() {
        let (call, expected) = publish(1);
        for before in [
            "-- a comment\n",
            "/* /* two */ */",
            "select 'a''b', ",
            "select E'a\\'b', ",
            "select 'a\\', ",
            "select $$ ' $$, $tag$ \" $tag$, ",
            "select a$b, $1, ",
            "select \"a\"\"b\", 'ключ', ",
        ] {
            let sql = format!("{before}{call}");
            assert_eq!(called(&sql).as_slice(), std::slice::from_ref(&expected), "{sql}");
        }
    }

    #[test]
    fn a_message_carries_on_with_a_span_of_its_own_and_a_shared_context_with_one() {
        let settings = nexus_observability::otlp::Settings::read("1", |name| {
            (name == "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").then(|| "http://127.0.0.1:9".into())
        });
        let settings = nexus_observability::Settings {
            format: nexus_observability::Format::Json,
            filter: "off".into(),
            otlp: settings.unwrap(),
        };
        let _exporting = nexus_observability::init(&settings).unwrap();
        let context = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let text = |text: &str| ParameterValue::Str(text.into());
        let of = |topic: &str| {
            let id = ParameterValue::Uuid("0198-id".into());
            vec![text(topic), id, text("s"), text("t"), text("{}"), text(context)]
        };
        let by = ComponentId::new("catalog").unwrap();
        let sql = format!("select {}, {}", publish(1).0, publish(7).0);
        let mut params = [of("a.b.c.v1"), of("a.b.d.v1")].concat();
        let sends = Sends::begin(&by, &sql, &mut params);
        let told: Vec<_> = sends.0.iter().map(|(_, letter)| &*letter.destination).collect();
        assert_eq!(told, ["a.b.c.v1", "a.b.d.v1"]);
        let carried = |params: &[ParameterValue], place: usize| match &params[place] {
            ParameterValue::Str(carried) => carried.clone(),
            other => panic!("{other:?}"),
        };
        let (one, two) = (carried(&params, 5), carried(&params, 11));
        assert!(one != two && one != context && one[..36] == context[..36], "{one} {two}");
        sends.end(&Ok::<_, ()>(()));

        let shared = "select platform.publish($1, $2, $3, $4, $5, $6), \
                      platform.publish('e.f.g.v1', $2, $3, $4, $5, $6)";
        let mut params = of("a.b.c.v1");
        let sends = Sends::begin(&by, shared, &mut params);
        assert_eq!(sends.0.len(), 1);
        assert_eq!(carried(&params, 5), sends.0[0].0.context());
        // What is in no trace, or no text, stays as it is.
        for odd in [text(""), ParameterValue::Int32(1)] {
            params[5] = odd;
            assert!(Sends::begin(&by, shared, &mut params).0.is_empty());
        }
    }

    proptest! {
        #[test]
        fn no_text_upsets_the_reader(sql in "[-a-c'\"$/*(),. \\\\éE\n1]{0,60}") {
            let call = publish(1).0;
            let (around, cut) = (format!("{sql}{call}{sql}"), format!("platform.publish({sql}"));
            for text in [sql, around, cut] {
                prop_assert!(called(&text).len() <= 1);
            }
        }
    }
}
