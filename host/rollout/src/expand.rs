//! What a migration may not do while the revision before it still serves: take away, rename, retype
//! or demand. Reads SQL as words; refuses to be a parser: what it does not know, it lets through.
//!
//! A statement with a comment `-- contract: <reason>` in it or before it is let through: somebody
//! has thought about the revision before.

use std::fmt;

/// A statement that the revision before would not survive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// `NNNN_name.sql`.
    pub file: String,
    /// From 1.
    pub line: usize,
    pub what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, what } = self;
        write!(f, "{file}, line {line}: {what}, which the revision before may still need; ")?;
        f.write_str("do it in a later migration and say `-- contract: <reason>` there")
    }
}

/// A word of SQL outside comments and strings, in lower case, or one sign.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    text: String,
    line: usize,
}

#[derive(Debug, Default)]
struct Statement {
    words: Vec<Word>,
    is_contract: bool,
}

/// Every statement of a file that takes something away.
pub fn breaches(file: &str, sql: &str) -> Vec<Breach> {
    let mut found = Vec::new();
    for statement in statements(sql, 1) {
        if statement.is_contract {
            continue;
        }
        if let Some((line, what)) = breach(&statement.words) {
            found.push(Breach { file: file.into(), line, what });
        }
    }
    found
}

/// Things whose end others notice.
const NEEDED: [&str; 6] = ["table", "view", "materialized", "schema", "type", "sequence"];

/// What may stand after `drop` of a column without being its name.
const NOT_COLUMNS: [&str; 6] = ["constraint", "default", "not", "expression", "identity", "("];

fn breach(words: &[Word]) -> Option<(usize, String)> {
    let text = |at: usize| words.get(at).map_or("", |word| word.text.as_str());
    if text(0) == "drop" && NEEDED.contains(&text(1)) {
        return Some((words[0].line, format!("it drops a {}", text(1))));
    }
    if text(0) != "alter" {
        return None;
    }
    if let Some(at) = words.iter().position(|word| word.text == "rename") {
        return Some((words[at].line, "it renames something".into()));
    }
    if !matches!(text(1), "table" | "view" | "foreign" | "type") {
        return None;
    }
    for at in 2..words.len() {
        let line = words[at].line;
        match (text(at), text(at + 1)) {
            ("drop", "column" | "attribute") => return Some((line, "it drops a column".into())),
            ("drop", next) if text(1) == "table" && !NOT_COLUMNS.contains(&next) => {
                return Some((line, "it drops a column".into()));
            }
            ("data", "type") => return Some((line, "it changes a column's type".into())),
            // `alter column x type y`, not `add column type text`.
            ("type", _) if is_alter_of(words, at) => {
                return Some((line, "it changes a column's type".into()));
            }
            ("set", "not") if text(at + 2) == "null" && !action(words, at, "default") => {
                return Some((line, "it makes a column not null".into()));
            }
            ("add", next) if next != "constraint" && demands(words, at) => {
                return Some((line, "it adds a column that is not null without a default".into()));
            }
            _ => {}
        }
    }
    None
}

/// Whether `type` at this place belongs to `alter [column] <name>`.
fn is_alter_of(words: &[Word], at: usize) -> bool {
    let word = |back: usize| at.checked_sub(back).map_or("", |at| words[at].text.as_str());
    at > 3 && (word(2) == "alter" || word(3) == "alter" && word(2) == "column")
}

/// Whether `wanted` stands anywhere in the statement: `set default` may be another action of it.
fn action(words: &[Word], _at: usize, wanted: &str) -> bool {
    let mut pairs = words.windows(2);
    pairs.any(|pair| pair[0].text == "set" && pair[1].text == wanted)
}

/// Whether the column that is added at this place must be given by everybody who inserts.
fn demands(words: &[Word], at: usize) -> bool {
    let mut depth = 0;
    let mut column = Vec::new();
    for word in &words[at + 1..] {
        match word.text.as_str() {
            "(" => depth += 1,
            ")" => depth -= 1,
            "," if depth == 0 => break,
            text if depth == 0 => column.push(text),
            _ => {}
        }
    }
    let not_null = column.windows(2).any(|pair| pair == ["not", "null"]);
    let primary = column.windows(2).any(|pair| pair == ["primary", "key"]);
    let given = column.iter().any(|word| matches!(*word, "default" | "generated"));
    // A constraint of the table has no type in front of it.
    let is_column = !matches!(column.first(), Some(&("check" | "unique" | "primary" | "foreign")));
    is_column && (not_null || primary) && !given
}

fn statements(sql: &str, first_line: usize) -> Vec<Statement> {
    let mut all = vec![Statement::default()];
    let mut line = first_line;
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let taken = token(rest);
        let (piece, after) = rest.split_at(taken.bytes);
        let statement = all.last_mut().expect("there is one");
        match taken.kind {
            Kind::Comment => statement.is_contract |= is_contract(piece),
            Kind::Word => statement.words.push(Word { text: piece.to_lowercase(), line }),
            Kind::Dollar(tag) if statement.words.first().is_some_and(|w| w.text == "do") => {
                // What is done at once, unlike the body of a function.
                let (ends, body) = (&piece[..tag], &piece[tag..]);
                let inside = body.strip_suffix(ends).unwrap_or(body);
                let is_contract = statement.is_contract;
                let mut inner = statements(inside, line);
                inner.iter_mut().for_each(|one| one.is_contract |= is_contract);
                inner.iter_mut().for_each(unwrap_block);
                all.extend(inner);
                all.push(Statement::default());
            }
            Kind::Sign if first == ';' => all.push(Statement::default()),
            Kind::Sign => statement.words.push(Word { text: piece.into(), line }),
            Kind::Dollar(_) | Kind::Quoted | Kind::Space => {}
        }
        line += piece.matches('\n').count();
        rest = after;
    }
    all
}

/// Words of a block that stand before what it does.
const BLOCK: [&str; 9] =
    ["begin", "declare", "if", "elsif", "else", "loop", "for", "while", "exception"];

/// `begin if a then drop table x` is `drop table x`.
fn unwrap_block(statement: &mut Statement) {
    let words = &mut statement.words;
    if words.first().is_some_and(|word| BLOCK.contains(&word.text.as_str())) {
        let opens = |word: &Word| matches!(&*word.text, "begin" | "then" | "else" | "loop");
        if let Some(last) = words.iter().rposition(opens) {
            words.drain(..=last);
        }
    }
}

fn is_contract(comment: &str) -> bool {
    let text = comment.trim_start_matches(['-', '/', '*', ' ']);
    text.strip_prefix("contract:").is_some_and(|reason| !reason.trim().is_empty())
}

enum Kind {
    Comment,
    Quoted,
    /// With the length of its tag.
    Dollar(usize),
    Word,
    Sign,
    Space,
}

struct Token {
    bytes: usize,
    kind: Kind,
}

/// The token that a text begins with; the text is not empty.
fn token(text: &str) -> Token {
    let until = |found: Option<usize>, extra: usize| found.map_or(text.len(), |at| at + extra);
    let first = text.chars().next().unwrap_or(' ');
    let (bytes, kind) = if text.starts_with("--") {
        (until(text.find('\n'), 0), Kind::Comment)
    } else if text.starts_with("/*") {
        (nested_comment(text), Kind::Comment)
    } else if first == '\'' {
        (until(text[1..].find('\''), 2), Kind::Quoted)
    } else if first == '"' {
        // A name, which may be any word: it is none of ours.
        (until(text[1..].find('"'), 2), Kind::Word)
    } else if let Some(tag) = dollar_tag(text) {
        let end = text[tag.len()..].find(tag).map(|at| at + 2 * tag.len());
        (end.unwrap_or(text.len()), Kind::Dollar(tag.len()))
    } else if first.is_alphabetic() || first == '_' {
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '.' && c != '$');
        (end.unwrap_or(text.len()), Kind::Word)
    } else if first.is_whitespace() {
        (first.len_utf8(), Kind::Space)
    } else {
        (first.len_utf8(), Kind::Sign)
    };
    Token { bytes, kind }
}

fn nested_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while let Some(next) = text[at..].find(['/', '*']) {
        at += next;
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// `$$` or `$tag$` at the beginning.
fn dollar_tag(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('$')?;
    let end = rest.find('$')?;
    let name = &rest[..end];
    let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    is_name.then(|| &text[..end + 2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(sql: &str) -> Vec<usize> {
        breaches("0002_x.sql", sql).into_iter().map(|breach| breach.line).collect()
    }

    #[test]
    fn what_takes_away_is_found_with_its_line() {
        for sql in [
            "drop table lamp",
            "DROP TABLE IF EXISTS lamp.lamp CASCADE",
            "drop view v",
            "alter table lamp drop column colour",
            "alter table lamp drop colour",
            "alter table lamp add x int, drop column if exists y",
            "alter table lamp alter column colour type int using 1",
            "alter table lamp alter colour set data type int",
            "alter table lamp rename to desk",
            "alter table lamp rename column a to b",
            "alter type mood rename value 'a' to 'b'",
            "alter table lamp alter column colour set not null",
            "alter table lamp add column colour text not null",
            "alter table lamp add column id uuid primary key",
            "do $$ begin drop table lamp; end $$",
            "do $x$ begin if true then alter table a drop column b; end if; end $x$",
        ] {
            assert_eq!(lines(&format!("select 1;\n\n{sql};")), [3], "{sql}");
        }
    }

    #[test]
    fn what_only_adds_is_let_through() {
        for sql in [
            "create table lamp (id uuid primary key, colour text not null)",
            "alter table lamp add column colour text",
            "alter table lamp add column colour text not null default 'red'",
            "alter table lamp add column type text",
            "alter table lamp add column n int generated always as (1) stored not null",
            "alter table lamp add constraint c check (colour is not null)",
            "alter table lamp add check (colour is not null)",
            "alter table lamp drop constraint c",
            "alter table lamp alter column colour drop not null",
            "alter table lamp alter column colour drop default",
            "alter table lamp alter colour set default 'a', alter colour set not null",
            "drop index lamp_colour",
            "insert into lamp values ('drop table lamp; --')",
            "create function f() returns void language sql as $$ drop table lamp $$",
            "-- drop table lamp",
            "/* drop /* table */ lamp; */ select 1",
            "comment on table lamp is 'it''s; drop table lamp'",
        ] {
            assert_eq!(lines(sql), [0_usize; 0], "{sql}");
        }
    }

    #[test]
    fn a_contract_is_let_through_and_only_that_statement() {
        let sql = "-- contract: nobody reads it since 0004\ndrop table a;\ndrop table b;";
        assert_eq!(lines(sql), [3]);
        assert_eq!(lines("drop table a -- contract: gone\n;"), [0_usize; 0]);
        assert_eq!(lines("-- contract:\ndrop table a;"), [2], "a reason is asked for");
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end(sql in "(?s).{0,200}") {
            breaches("x", &sql);
        }

        #[test]
        fn any_mix_of_pieces_is_read_to_its_end(
            pieces in proptest::collection::vec(prop_oneof![
                Just("$$"), Just("do "), Just("'"), Just("/*"), Just("*/"), Just("--"), Just("\n"),
                Just("$a$"), Just(";"), Just("alter table t drop x"), Just("\""), Just("é"),
            ], 0..20),
        ) {
            breaches("x", &pieces.concat());
        }
    }
}
