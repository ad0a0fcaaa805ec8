//! What a Redis server answers, in the shapes of RESP2, which is all that the `spin:redis`
//! interface can carry. Refuses to know which command was asked.
//! Source: the Redis serialization protocol specification, version 2.

use redis::Value;

/// One answer. Errors are not answers: they are [`crate::LinkError::Refused`].
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Nil,
    /// A simple string such as `OK`.
    Status(String),
    Int(i64),
    Bytes(Vec<u8>),
    List(Vec<Reply>),
}

impl Reply {
    /// The status every successful write without a result answers.
    pub fn ok() -> Self {
        Self::Status("OK".into())
    }

    /// Translates the client library's value; the text says which RESP3 shape was unexpected.
    pub(crate) fn from_value(value: Value) -> Result<Self, &'static str> {
        Ok(match value {
            Value::Nil => Self::Nil,
            Value::Int(n) => Self::Int(n),
            Value::BulkString(bytes) => Self::Bytes(bytes),
            Value::SimpleString(text) => Self::Status(text),
            Value::Okay => Self::ok(),
            Value::Array(values) => {
                Self::List(values.into_iter().map(Self::from_value).collect::<Result<_, _>>()?)
            }
            _ => return Err("a RESP3 value on a RESP2 connection"),
        })
    }
}
