//! What a statement can leave behind in its session, told from its first words.
//!
//! The extended protocol takes one statement per message, so the leading keyword says which
//! command it is; this file reads exactly as much of PostgreSQL's lexer as that needs. Refuses to
//! parse further: what a role may do is the server's business, not this file's.

/// Whose statements they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// A service on this host's database: queries and transactions, nothing else. Definitions
    /// come from migrations; channels and large copies are shared by all services.
    Service,
    /// A server of the guest's own choice: its role's rights are its owner's business.
    Outside,
    /// The host itself.
    Host,
}

/// What running a statement may do to the session it runs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing that outlives its transaction.
    Transient,
    /// It may change settings, hold locks or cursors: the session is reset before its next use.
    Lasting,
    /// Not to be run at all.
    Refused { keyword: String, reason: &'static str },
}

const TRANSIENT: &[&str] = &[
    "abort",
    "begin",
    "close",
    "commit",
    "delete",
    "end",
    "explain",
    "fetch",
    "insert",
    "lock",
    "merge",
    "move",
    "release",
    "rollback",
    "savepoint",
    "select",
    "show",
    "start",
    "table",
    "update",
    "values",
    "with",
];

/// What a service may run although it can leave something behind.
const LASTING: &[&str] = &["call", "declare", "reset", "set"];

/// Commands after which the client library and the host would disagree about the connection.
const BREAKS_PROTOCOL: &[(&str, &str)] = &[
    ("copy", "its data travels outside the rows this interface has; insert from unnest($1)"),
    ("deallocate", "prepared statements belong to the host"),
    ("discard", "the host resets the session when the connection is given back"),
    ("execute", "prepared statements belong to the host, which prepares every query"),
    ("prepare", "prepared statements belong to the host, which prepares every query"),
];

const NOT_A_SERVICES: &[(&str, &str)] = &[
    ("alter", "definitions come from its migrations"),
    ("create", "definitions come from its migrations"),
    ("do", "put the code into a function in its migrations"),
    ("drop", "definitions come from its migrations"),
    ("listen", "channels are shared by all services; subscribe to a topic"),
    ("notify", "channels are shared by all services; publish an event"),
    ("unlisten", "channels are shared by all services; subscribe to a topic"),
];

/// Functions that reach past the end of a transaction although they stand in a plain query.
/// `u&` can spell any name in escapes. Best effort: where the host owns the server, the rights to
/// these functions are revoked.
const REACHING: &[&[u8]] = &[b"set_config", b"advisory", b"u&", b"to_xml", b"ts_stat", b"dblink"];

/// The word that a statement begins with, in lower case.
pub(crate) fn first_word(sql: &str) -> Option<String> {
    word(&mut skip(sql.as_bytes(), b"(;"))
}

/// Sorts one statement.
pub(crate) fn inspect(sql: &str, rules: Rules) -> Effect {
    if rules == Rules::Host {
        return Effect::Lasting;
    }
    let mut rest = skip(sql.as_bytes(), b"(;");
    let Some(keyword) = word(&mut rest) else {
        return if rest.is_empty() { Effect::Transient } else { Effect::Lasting };
    };
    let refused = |list: &[(&str, &'static str)]| {
        let reason = list.iter().find(|(name, _)| *name == keyword).map(|(_, reason)| *reason);
        reason.map(|reason| Effect::Refused { keyword: keyword.to_uppercase(), reason })
    };
    if let Some(effect) = refused(BREAKS_PROTOCOL) {
        return effect;
    }
    if rules == Rules::Service {
        if let Some(effect) = refused(NOT_A_SERVICES) {
            return effect;
        }
        if !TRANSIENT.contains(&&*keyword) && !LASTING.contains(&&*keyword) {
            let reason = "a service runs queries and transactions";
            return Effect::Refused { keyword: keyword.to_uppercase(), reason };
        }
    }
    let bound_to_transaction = keyword == "set" && {
        let next = word(&mut rest).unwrap_or_default();
        matches!(&*next, "local" | "transaction" | "constraints")
    };
    let plain = TRANSIENT.contains(&&*keyword) || bound_to_transaction;
    if plain && !reaches(sql.as_bytes()) { Effect::Transient } else { Effect::Lasting }
}

fn reaches(sql: &[u8]) -> bool {
    // One pass: each pattern is looked for only where its first letter stands.
    (0..sql.len()).any(|at| {
        let first = sql[at].to_ascii_lowercase();
        matches!(first, b's' | b'a' | b'u' | b't' | b'd')
            && REACHING.iter().any(|name| {
                sql.get(at..at + name.len()).is_some_and(|part| part.eq_ignore_ascii_case(name))
            })
    })
}

/// The next word in lower case, after white space and comments.
fn word(rest: &mut &[u8]) -> Option<String> {
    let text = skip(rest, b"");
    let letter = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || *b == b'$' || *b >= 0x80;
    let length = text.iter().take_while(|b| letter(b)).count();
    *rest = &text[length..];
    let word = std::str::from_utf8(&text[..length]).ok()?.to_ascii_lowercase();
    (!word.is_empty()).then_some(word)
}

/// Skips white space, comments and `extra`. A line comment also ends at a carriage return, a block
/// comment nests (PostgreSQL manual, "Lexical Structure", and its scan.l).
fn skip<'a>(mut text: &'a [u8], extra: &[u8]) -> &'a [u8] {
    loop {
        match text {
            [b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, rest @ ..] => text = rest,
            [b, rest @ ..] if extra.contains(b) => text = rest,
            [b'-', b'-', rest @ ..] => {
                let end = rest.iter().position(|b| matches!(b, b'\n' | b'\r'));
                text = &rest[end.unwrap_or(rest.len())..];
            }
            [b'/', b'*', rest @ ..] => text = after_block(rest),
            _ => return text,
        }
    }
}

fn after_block(mut text: &[u8]) -> &[u8] {
    let mut depth = 1;
    while depth > 0 {
        match text {
            [b'/', b'*', rest @ ..] => (depth, text) = (depth + 1, rest),
            [b'*', b'/', rest @ ..] => (depth, text) = (depth - 1, rest),
            [_, rest @ ..] => text = rest,
            [] => return text,
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(sql: &str) -> bool {
        matches!(inspect(sql, Rules::Service), Effect::Refused { .. })
    }

    #[test]
    fn plain_queries_and_transactions_leave_nothing_behind() {
        for sql in [
            "select 1",
            "  SELECT 1",
            "-- why\nselect 1",
            "/* a /* b */ c */ insert into t values (1)",
            "(select 1) union (select 2)",
            ";select 1",
            "with x as (select 1) select * from x",
            "",
            "begin isolation level serializable",
            "COMMIT",
            "set local search_path = x",
            "set transaction read only",
            "update t set a = 1",
            "/**/",
            "\u{b}values (1)",
        ] {
            assert_eq!(inspect(sql, Rules::Service), Effect::Transient, "{sql}");
        }
    }

    #[test]
    fn what_may_change_the_session_is_seen_through_any_disguise() {
        for sql in [
            "set statement_timeout = 0",
            "SET SESSION work_mem = '1GB'",
            "set/*local*/x = 1",
            "set --local\nx = 1",
            "reset all",
            "call p()",
            "declare c cursor with hold for select 1",
            "select set_config('role', 'x', false)",
            "select pg_catalog.\"set_config\"('a','b',false)",
            "select pg_Advisory_lock(1)",
            "select U&\"\\0073et_config\"('a','b',false)",
            "-- x\rset y = 1",
            "\u{a0}select 1",
            "$1",
        ] {
            let effect = inspect(sql, Rules::Service);
            assert!(effect != Effect::Transient, "{sql}: {effect:?}");
        }
    }

    #[test]
    fn commands_on_shared_things_are_refused_through_any_disguise() {
        for sql in [
            "copy t from program 'id'",
            "LISTEN x",
            "--\rlisten x",
            "/* /* */ */ notify x, 'y'",
            ";;copy t to stdout",
            "do $$ begin end $$",
            "alter role catalog password 'x'",
            "create table t ()",
            "prepare transaction 'x'",
            "deallocate all",
            "discard all",
            "vacuum",
            "load 'x'",
            "security label on role x is 'y'",
            "/*\n*/--\n(\tCoPy t to stdout)",
        ] {
            assert!(refused(sql), "{sql}");
        }
    }

    #[test]
    fn on_a_guests_own_server_only_the_protocol_is_guarded() {
        assert_eq!(inspect("create table t ()", Rules::Outside), Effect::Lasting);
        assert_eq!(inspect("select 1", Rules::Outside), Effect::Transient);
        assert!(matches!(inspect("copy t to stdout", Rules::Outside), Effect::Refused { .. }));
    }
}
