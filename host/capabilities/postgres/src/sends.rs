//! Messages that a statement hands to a queue, as spans of a trace that is exported: each has its
//! own, and carries on with that. Where nothing is exported, statements are not even looked at.
//!
//! Knows the platform's functions as the SDK calls them, by parameters alone; what is written
//! otherwise goes as it is, with the context that its author gave.

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
    Function { name: "publish_with(", operation: "publish", destination: 0, id: 1, trace: 5 },
    Function { name: "publish(", operation: "publish", destination: 0, id: 1, trace: 5 },
    Function { name: "job_submit(", operation: "submit", destination: 0, id: 1, trace: 4 },
];

/// What stands for an argument.
#[derive(Clone, Copy)]
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
        let mut rest = sql;
        while let Some((_, called)) = rest.split_once("platform.") {
            rest = called;
            for function in &FUNCTIONS {
                let Some(arguments) = called.strip_prefix(function.name) else { continue };
                begun.extend(function.send(by, arguments, params));
                break;
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

impl Function {
    fn send(
        &self,
        by: &ComponentId,
        arguments: &str,
        params: &mut [ParameterValue],
    ) -> Option<(Sending, Letter)> {
        let (arguments, _) = arguments.split_once(')')?;
        let arguments: Option<Vec<_>> = arguments.split(',').map(Argument::read).collect();
        let arguments = arguments?;
        let said = |at: usize| match *arguments.get(at)? {
            Argument::Word(word) => Some(word.to_owned()),
            Argument::Parameter(place) => match params.get(place)? {
                ParameterValue::Str(text) | ParameterValue::Uuid(text) => Some(text.clone()),
                _ => None,
            },
        };
        let sending = Sending::below(&said(self.trace)?)?;
        let letter = Letter {
            component: by.to_string(),
            destination: said(self.destination)?,
            message: said(self.id)?,
            operation: self.operation,
        };
        let Argument::Parameter(place) = arguments[self.trace] else { return None };
        params[place] = ParameterValue::Str(sending.context());
        Some((sending, letter))
    }
}

impl<'a> Argument<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let text = text.trim();
        if let Some(number) = text.strip_prefix('$') {
            return Some(Self::Parameter(number.parse::<usize>().ok()?.checked_sub(1)?));
        }
        let word = text.strip_prefix('\'')?.strip_suffix('\'')?;
        Some(Self::Word(word))
    }
}
