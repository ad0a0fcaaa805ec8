//! What a component gives to the host: HTTP in one of two versions and, where it has them, the
//! exports of `nexus:triggers`. Looked up once per revision; opened by
//! each instance when it is first called.

use crate::instance::Instance;
use crate::one_call::{self, WHOLE};
use crate::work::{Message, Outcome, Tick};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wasmtime::component::{
    self, Component, ComponentExportIndex, ComponentNamedList, Func, InstancePre, Lift, Lower,
    TypedFunc,
};
use wasmtime::{AsContextMut, Engine, Store};
use wasmtime_wasi_http::handler::Proxy;
use wasmtime_wasi_http::{p2, p3};

#[allow(unreachable_pub)]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/nexus-triggers@0.1.0",
        world: "nexus:triggers/triggers",
        exports: { default: async | store },
    });
}

pub(crate) use bindings::nexus::triggers::types as wit;

/// The export that takes messages, and the one that runs schedules.
pub(crate) const MESSAGES: &str = "nexus:triggers/messages@0.1.0";
pub(crate) const SCHEDULES: &str = "nexus:triggers/schedules@0.1.0";

pub(crate) type Handle = TypedFunc<(String, wit::Message), (wit::Outcome,)>;
pub(crate) type HandleBatch = TypedFunc<(String, Vec<wit::Message>), (Vec<wit::Outcome>,)>;
pub(crate) type Run = TypedFunc<(wit::Tick,), (wit::Outcome,)>;

/// The exports of one revision.
pub(crate) struct Exports {
    pre: InstancePre<Instance>,
    http: HttpIndices,
    whole: Option<ComponentExportIndex>,
    messages: Option<(ComponentExportIndex, ComponentExportIndex)>,
    schedules: Option<ComponentExportIndex>,
    /// An instance has opened all of them.
    are_checked: AtomicBool,
}

enum HttpIndices {
    P2(p2::bindings::ProxyIndices),
    P3(p3::bindings::ServiceIndices),
}

/// The exports of one instance. Each is opened, which checks its type, when it is first called: an
/// instance that is there for one call is asked for one of them.
pub(crate) struct Guest<'e> {
    exports: &'e Exports,
    instance: component::Instance,
    http: OnceLock<Proxy>,
    whole: OnceLock<one_call::Handle>,
    message: OnceLock<Handle>,
    batch: OnceLock<HandleBatch>,
    run: OnceLock<Run>,
}

impl Exports {
    /// None when the component answers no HTTP.
    pub(crate) fn of(component: &Component, pre: InstancePre<Instance>) -> Option<Self> {
        let http = match p3::bindings::ServiceIndices::new(&pre) {
            Ok(indices) => HttpIndices::P3(indices),
            Err(_) => HttpIndices::P2(p2::bindings::ProxyIndices::new(&pre).ok()?),
        };
        let function = |interface: &str, name: &str| {
            let interface = component.get_export_index(None, interface)?;
            component.get_export_index(Some(&interface), name)
        };
        let messages = function(MESSAGES, "handle").zip(function(MESSAGES, "handle-batch"));
        let (whole, schedules) = (function(WHOLE, "handle"), function(SCHEDULES, "run"));
        let are_checked = AtomicBool::new(false);
        Some(Self { pre, http, whole, messages, schedules, are_checked })
    }

    pub(crate) fn has_messages(&self) -> bool {
        self.messages.is_some()
    }

    pub(crate) fn has_schedules(&self) -> bool {
        self.schedules.is_some()
    }

    /// The guest takes requests in one piece, as no other host hands them over.
    pub(crate) fn is_native(&self) -> bool {
        self.whole.is_some()
    }

    /// The guest answers `wasi:http/handler@0.3`, so calls may share an instance.
    pub(crate) fn is_concurrent(&self) -> bool {
        matches!(self.http, HttpIndices::P3(_))
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.pre.engine()
    }

    pub(crate) async fn instantiate(
        &self,
        store: &mut Store<Instance>,
    ) -> wasmtime::Result<Guest<'_>> {
        let guest = Guest {
            exports: self,
            instance: self.pre.instantiate_async(&mut *store).await?,
            http: OnceLock::new(),
            whole: OnceLock::new(),
            message: OnceLock::new(),
            batch: OnceLock::new(),
            run: OnceLock::new(),
        };
        // What has other types than it should has no instances, rather than calls that fail.
        if !self.are_checked.load(Relaxed) {
            guest.open_all(store)?;
            self.are_checked.store(true, Relaxed);
        }
        Ok(guest)
    }
}

/// What a component is called by and does not export.
fn absent() -> wasmtime::Error {
    wasmtime::format_err!("the component does not export what was called")
}

fn opened<T>(
    there: &OnceLock<T>,
    open: impl FnOnce() -> wasmtime::Result<T>,
) -> wasmtime::Result<&T> {
    match there.get() {
        Some(there) => Ok(there),
        None => {
            let opened = open()?;
            Ok(there.get_or_init(|| opened))
        }
    }
}

impl Guest<'_> {
    fn open_all(&self, store: &mut Store<Instance>) -> wasmtime::Result<()> {
        self.http(&mut *store)?;
        if self.exports.whole.is_some() {
            self.whole(&mut *store)?;
        }
        if self.exports.messages.is_some() {
            self.message(&mut *store)?;
            self.batch(&mut *store)?;
        }
        if self.exports.schedules.is_some() {
            self.run(store)?;
        }
        Ok(())
    }

    /// The function by which an instance is asked whether it takes another call.
    pub(crate) fn front(&self, store: impl AsContextMut) -> wasmtime::Result<Func> {
        Ok(match self.http(store)? {
            Proxy::P3(guest) => *guest.wasi_http_handler().func_handle().func(),
            Proxy::P2(guest) => *guest.wasi_http_incoming_handler().func_handle().func(),
        })
    }

    pub(crate) fn http(&self, mut store: impl AsContextMut) -> wasmtime::Result<&Proxy> {
        opened(&self.http, || {
            Ok(match &self.exports.http {
                HttpIndices::P2(indices) => Proxy::P2(indices.load(&mut store, &self.instance)?),
                HttpIndices::P3(indices) => Proxy::P3(indices.load(&mut store, &self.instance)?),
            })
        })
    }

    pub(crate) fn whole(&self, store: impl AsContextMut) -> wasmtime::Result<one_call::Handle> {
        opened(&self.whole, || self.function(store, self.exports.whole)).copied()
    }

    pub(crate) fn message(&self, store: impl AsContextMut) -> wasmtime::Result<Handle> {
        let handle = self.exports.messages.map(|(one, _)| one);
        opened(&self.message, || self.function(store, handle)).copied()
    }

    pub(crate) fn batch(&self, store: impl AsContextMut) -> wasmtime::Result<HandleBatch> {
        let handle = self.exports.messages.map(|(_, batch)| batch);
        opened(&self.batch, || self.function(store, handle)).copied()
    }

    pub(crate) fn run(&self, store: impl AsContextMut) -> wasmtime::Result<Run> {
        opened(&self.run, || self.function(store, self.exports.schedules)).copied()
    }

    fn function<Taken, Given>(
        &self,
        store: impl AsContextMut,
        export: Option<ComponentExportIndex>,
    ) -> wasmtime::Result<TypedFunc<Taken, Given>>
    where
        Taken: ComponentNamedList + Lower,
        Given: ComponentNamedList + Lift,
    {
        self.instance.get_typed_func(store, export.ok_or_else(absent)?)
    }
}

fn instant(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Message {
    pub(crate) fn to_wit(&self, request_id: &str, deadline: SystemTime) -> wit::Message {
        wit::Message {
            id: self.id.to_string(),
            topic: self.topic.to_string(),
            source: self.source.to_string(),
            subject: self.subject.as_deref().map(str::to_owned),
            tenant: self.tenant.map(|tenant| tenant.to_string()),
            payload: self.payload.to_vec(),
            published_at: instant(self.published_at),
            attempt: self.attempt,
            deadline: instant(deadline),
            group: self.group.as_deref().map(str::to_owned),
            traceparent: self.trace.as_deref().map(str::to_owned),
            request_id: request_id.to_owned(),
        }
    }
}

impl Tick {
    pub(crate) fn to_wit(&self, request_id: &str, now: SystemTime) -> wit::Tick {
        wit::Tick {
            id: self.id.to_string(),
            name: self.name.to_string(),
            scheduled_at: instant(self.scheduled_at),
            fired_at: instant(self.fired_at),
            now: instant(now),
            attempt: self.attempt,
            deadline: instant(now + self.wall),
            traceparent: self.trace.as_deref().map(str::to_owned),
            request_id: request_id.to_owned(),
        }
    }
}

/// What is kept of a guest's reason: enough for a person, too little to fill a table.
const REASON_BYTES_MAX: usize = 2048;

fn reason(mut text: String) -> Arc<str> {
    let mut end = text.len().min(REASON_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    // PostgreSQL's text holds no NUL.
    text.replace('\0', "\u{fffd}").into()
}

impl From<wit::Outcome> for Outcome {
    fn from(outcome: wit::Outcome) -> Self {
        match outcome {
            wit::Outcome::Ack => Self::Ack,
            wit::Outcome::Retry(again) => Self::Retry {
                after: again.after_ms.map(Duration::from_millis),
                reason: reason(again.reason),
            },
            wit::Outcome::Release(after) => {
                Self::Release { after: after.map(Duration::from_millis) }
            }
            wit::Outcome::Reject(why) => Self::Reject { reason: reason(why) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_between_characters_and_holds_no_nul() {
        let long = reason("é".repeat(REASON_BYTES_MAX));
        assert_eq!(long.len(), REASON_BYTES_MAX);
        assert_eq!(&*reason("a\0b".into()), "a\u{fffd}b");
        let odd = reason(format!("x{}", "é".repeat(REASON_BYTES_MAX)));
        assert_eq!(odd.len(), REASON_BYTES_MAX - 1);
    }
}
