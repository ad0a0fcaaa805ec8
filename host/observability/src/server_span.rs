//! The span of a request at the door (OTel's kind `SERVER`), from its head to the end of its
//! answer.
//!
//! Lines inside it carry its call; once it is over, its line, its place among the last calls and
//! its span for the exporter are told. There is one for each request, so that it does without a
//! span of `tracing`: that one's registry and fields took as long as writing the line.

use crate::access::Access;
use crate::fields::{Fields, Value, call_name};
use crate::masks::masked;
use crate::otlp::{self, Finished};
use crate::ring::{self, Invocation};
use crate::trace::TraceParent;
use compact_str::CompactString;
use pin_project_lite::pin_project;
use std::cell::RefCell;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};
use tracing::Span;
use tracing::field::Empty;

/// A request that is being answered.
#[derive(Debug)]
pub struct ServerSpan {
    call: Arc<Call>,
    parent: Option<TraceParent>,
    method: CompactString,
    route: Option<CompactString>,
    error: Option<&'static str>,
    began: SystemTime,
    started: Instant,
}

/// What lines inside the span say of it.
#[derive(Debug)]
struct Call {
    request_id: Arc<str>,
    own: TraceParent,
    component: OnceLock<CompactString>,
    /// Disabled unless somebody looks at the spans of `tracing`.
    shown: Span,
}

/// How a request ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    pub path: &'a str,
    pub status: u16,
    pub took: Duration,
    /// Of the response's body.
    pub bytes: u64,
    /// The response was sent to its end.
    pub whole: bool,
}

/// Whether somebody looks at the spans of `tracing`: lines that are read as they are written, and
/// filters with directives for spans.
static SHOWN: AtomicBool = AtomicBool::new(false);

/// From now on each [`ServerSpan`] has a span of `tracing`, too.
pub(crate) fn show() {
    SHOWN.store(true, Ordering::Relaxed);
}

thread_local! {
    /// The call that is being worked on.
    static CURRENT: RefCell<Option<Arc<Call>>> = const { RefCell::new(None) };
}

/// What a line says of the call in whose [`ServerSpan`] it is written.
pub(crate) struct Inherited {
    pub(crate) request_id: Arc<str>,
    pub(crate) component: Option<CompactString>,
    pub(crate) own: TraceParent,
}

/// None outside every [`ServerSpan`].
pub(crate) fn inherited() -> Option<Inherited> {
    CURRENT.with_borrow(|call| {
        call.as_ref().map(|call| Inherited {
            request_id: call.request_id.clone(),
            component: call.component.get().cloned(),
            own: call.own,
        })
    })
}

impl ServerSpan {
    /// `own` is what the component sees as its `traceparent`; `parent` is what the caller sent, if
    /// it sent one. `began` is now.
    pub fn begin(
        request_id: Arc<str>,
        method: &str,
        own: TraceParent,
        parent: Option<TraceParent>,
        began: SystemTime,
    ) -> Self {
        let shown = match SHOWN.load(Ordering::Relaxed) {
            true => tracing::info_span!(
                target: "call",
                "call",
                request_id = &*request_id,
                component = Empty,
                http.request.method = method,
                http.route = Empty,
            ),
            false => Span::none(),
        };
        let call = Arc::new(Call { request_id, own, component: OnceLock::new(), shown });
        let method = masked(method).into();
        let (route, error, started) = (None, None, Instant::now());
        Self { call, parent, method, route, error, began, started }
    }

    pub fn request_id(&self) -> &Arc<str> {
        &self.call.request_id
    }

    /// How long the request has taken, `now`.
    pub fn took(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    /// Says whom the request is for, and the pattern that its path matched.
    pub fn addressed(&mut self, component: &str, route: &str) {
        // A request is for one component, and is told so once.
        let _first = self.call.component.set(component.into());
        self.route = Some(route.into());
        self.call.shown.record("component", component).record("http.route", route);
    }

    /// Names what went wrong, where that is not the client's doing.
    pub fn failed(&mut self, error: &'static str) {
        self.error = Some(error);
    }

    /// For lines that carry this call.
    pub fn scope(&self) -> Scope {
        Scope(self.call.clone())
    }

    /// What `work` writes carries this call.
    pub fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        let mut call = Some(self.call.clone());
        let _shown = self.call.shown.enter();
        let _current = Current::of(&mut call);
        work()
    }

    /// Tells what became of the request.
    pub fn end(&self, ended: &Ended<'_>) {
        let access = Access {
            at: self.began + ended.took,
            trace: &self.call.own,
            request_id: &self.call.request_id,
            component: self.component().unwrap_or_default(),
            method: &self.method,
            ended,
        };
        access.tell(self);
        let own = &self.call.own;
        if let Some(queue) = otlp::exporting().filter(|_| own.is_sampled()) {
            queue.send(self.finished(ended));
        }
        ring::recent().keep_invocation(self.invocation(ended));
    }

    fn component(&self) -> Option<&str> {
        self.call.component.get().map(CompactString::as_str)
    }

    fn name(&self) -> CompactString {
        call_name(None, Some(&self.method), self.route.as_deref()).unwrap_or_default()
    }

    fn invocation(&self, ended: &Ended<'_>) -> Invocation {
        let request_id = match masked(&self.call.request_id) {
            std::borrow::Cow::Borrowed(_) => self.call.request_id.clone(),
            std::borrow::Cow::Owned(masked) => masked.into(),
        };
        Invocation {
            number: 0,
            own: self.call.own,
            parent_id: self.parent.map(|parent| parent.span_number()),
            request_id,
            component: self.call.component.get().cloned(),
            revision: None,
            trigger: const { CompactString::const_new("http") },
            name: self.name(),
            method: Some(self.method.clone()),
            path: self.route.clone(),
            status: Some(ended.status),
            error: self.error.map(CompactString::const_new),
            began: self.began,
            ended: self.began + ended.took,
            more: Vec::new(),
        }
    }

    fn finished(&self, ended: &Ended<'_>) -> Finished {
        let text = |text: &str| Value::Text(masked(text).into());
        let said = [
            ("request_id", Some(&*self.call.request_id)),
            ("component", self.component()),
            ("otel.kind", Some("server")),
            ("http.request.method", Some(&*self.method)),
            ("http.route", self.route.as_deref()),
            ("error.type", self.error),
        ];
        let said = said.into_iter().filter_map(|(name, said)| Some((name, text(said?))));
        let status = ("http.response.status_code", Value::Unsigned(ended.status.into()));
        let fields = Fields::of(|fields| fields.extend(said.chain([status])));
        Finished {
            place: self.call.own,
            parent_span_id: self.parent.map_or(Vec::new(), |parent| parent.span_id_bytes()),
            name: self.name().into_string(),
            began: self.began,
            ended: self.began + ended.took,
            fields,
        }
    }
}

/// What carries a call into the lines of a future.
#[derive(Debug)]
pub struct Scope(Arc<Call>);

impl Scope {
    /// `future`, whose lines carry this call.
    pub fn of<F: Future>(self, future: F) -> Within<F> {
        Within { shown: self.0.shown.clone(), call: Some(self.0), future: Some(future) }
    }
}

pin_project! {
    /// A future whose lines carry a call (see [`Scope::of`]).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Within<F> {
        call: Option<Arc<Call>>,
        shown: Span,
        // None once it is dropped.
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for Within<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _shown = this.shown.enter();
            let _current = Current::of(this.call);
            this.future.set(None);
        }
    }
}

impl<F: Future> Future for Within<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _shown = this.shown.enter();
        let _current = Current::of(this.call);
        this.future.as_pin_mut().expect("it is there until it is dropped").poll(cx)
    }
}

/// A call that is being worked on until this is dropped.
struct Current<'a> {
    /// What was worked on before.
    outer: &'a mut Option<Arc<Call>>,
}

impl<'a> Current<'a> {
    fn of(call: &'a mut Option<Arc<Call>>) -> Self {
        CURRENT.with_borrow_mut(|current| std::mem::swap(current, call));
        Self { outer: call }
    }
}

impl Drop for Current<'_> {
    fn drop(&mut self) {
        CURRENT.with_borrow_mut(|current| std::mem::swap(current, self.outer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::{InvocationFilter, recent};
    use crate::writer::Sink;
    use crate::writer::tests::Page;
    use crate::{Format, Settings, call_span, subscriber};
    use serde_json::{Value as Json, json};
    use std::task::Waker;

    fn begin(id: &str, own: TraceParent, parent: Option<TraceParent>) -> ServerSpan {
        ServerSpan::begin(id.into(), "GET", own, parent, SystemTime::now())
    }

    const OK: Ended<'_> =
        Ended { path: "/a", status: 200, took: Duration::from_millis(3), bytes: 5, whole: true };

    fn logged(format: Format, filter: &str, work: impl FnOnce()) -> String {
        let page = Page::default();
        let sink = Sink::start(page.clone()).unwrap();
        let settings = Settings { format, filter: filter.into(), otlp: None };
        let subscriber = subscriber(&settings, false, sink.clone(), None).unwrap();
        tracing::subscriber::with_default(subscriber, work);
        sink.flush(Duration::from_secs(5));
        page.text()
    }

    /// What lines say of their calls: request and component.
    fn calls(lines: &str) -> Vec<(Json, Json)> {
        let line = |line| serde_json::from_str(line).unwrap();
        let of = |line: Json| (line["request_id"].clone(), line["component"].clone());
        lines.lines().map(|text| of(line(text))).collect()
    }

    #[test]
    fn lines_carry_the_call_that_is_being_worked_on() {
        struct Farewell;
        impl Drop for Farewell {
            fn drop(&mut self) {
                tracing::info!("dropped");
            }
        }
        async fn work() {
            let _farewell = Farewell;
            tracing::info!("before");
            std::future::pending::<()>().await;
        }
        let lines = logged(Format::Json, "info", || {
            let mut first = begin("scope-1", TraceParent::root(), None);
            let mut second = begin("scope-2", TraceParent::root(), None);
            let mut one = Box::pin(first.scope().of(work()));
            let mut two = Box::pin(second.scope().of(work()));
            let mut cx = Context::from_waker(Waker::noop());
            assert!(one.as_mut().poll(&mut cx).is_pending());
            assert!(two.as_mut().poll(&mut cx).is_pending());
            first.addressed("shop", "/...");
            second.addressed("mail", "/...");
            first.in_scope(|| second.in_scope(|| tracing::info!("inner")));
            first.in_scope(|| tracing::info!("outer"));
            drop((one, two));
            tracing::info!("outside");
        });
        let of = |id: &str, component: Json| (json!(id), component);
        assert_eq!(
            calls(&lines),
            [
                of("scope-1", Json::Null),
                of("scope-2", Json::Null),
                of("scope-2", json!("mail")),
                of("scope-1", json!("shop")),
                of("scope-1", json!("shop")),
                of("scope-2", json!("mail")),
                (Json::Null, Json::Null),
            ]
        );
    }

    #[test]
    fn a_line_keeps_what_it_says_itself_and_is_found_by_its_call() {
        let own = TraceParent::root();
        let lines = logged(Format::Json, "info", || {
            let mut span = begin("kept-1", own, None);
            span.addressed("kept", "/...");
            span.in_scope(|| tracing::warn!(request_id = "another", "said"));
            span.in_scope(|| tracing::warn!("unsaid"));
            span.end(&OK);
        });
        let first: Json = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
        assert_eq!(
            (&first["request_id"], &first["trace_id"]),
            (&json!("another"), &json!(own.trace_id()))
        );
        let (calls, lines) = recent().trace(&own.trace_id());
        assert_eq!(calls.len(), 1);
        let said: Vec<_> = lines.iter().map(|line| line.request_id.as_deref()).collect();
        assert_eq!(said, [Some("another"), Some("kept-1")]);
        assert!(lines.iter().all(|line| line.span_id == Some(own.span_id().into())));
    }

    #[test]
    fn a_panic_ends_the_scope_too() {
        let span = begin("panics", TraceParent::root(), None);
        let panics = || span.in_scope(|| panic!("of the test"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
        assert!(inherited().is_none());
    }

    #[test]
    fn a_call_is_kept_and_exported_as_its_span_of_tracing_would_be() {
        let parent = TraceParent::root();
        for (own, parent) in [(parent.child(), Some(parent)), (TraceParent::root(), None)] {
            let (request_id, error) = ("same-1", "component-trapped");
            let mut span = begin(request_id, own, parent);
            span.addressed("same", "/api/same/...");
            span.failed(error);
            let ended = Ended { status: 500, ..OK };
            logged(Format::Json, "info", || {
                let span = call_span(request_id, "GET", &own, parent.as_ref());
                span.record("component", "same").record("http.route", "/api/same/...");
                span.record("error.type", error).record("http.response.status_code", 500);
            });
            span.end(&ended);
            let filter = InvocationFilter { component: Some("same".into()), ..Default::default() };
            let kept = recent().invocations(&filter, None, 2);
            let [mut ours, mut theirs] = [0, 1].map(|at: usize| kept[at].clone());
            assert_eq!(ours.ended.duration_since(ours.began).unwrap(), ended.took);
            for call in [&mut ours, &mut theirs] {
                (call.number, call.began, call.ended) =
                    (0, SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH);
            }
            assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
            let told = span.finished(&ended);
            assert_eq!((&*told.name, told.place), ("GET /api/same/...", own));
            assert_eq!(told.parent_span_id, parent.map_or(vec![], |it| it.span_id_bytes()));
            for (name, said) in [
                ("request_id", request_id),
                ("component", "same"),
                ("otel.kind", "server"),
                ("http.request.method", "GET"),
                ("http.route", "/api/same/..."),
                ("error.type", error),
            ] {
                assert_eq!(told.fields.text(name), Some(said));
            }
            assert_eq!(told.fields.get("http.response.status_code"), Some(&Value::Unsigned(500)));
        }
    }

    #[test]
    fn what_nobody_was_found_for_is_kept_under_its_method() {
        let own = TraceParent::root();
        begin("none-1", own, None).end(&Ended { status: 404, ..OK });
        let call = recent().invocation(&own.span_id()).unwrap();
        assert_eq!((&*call.name, &call.component, &call.path), ("GET", &None, &None));
        assert_eq!((call.outcome(), &*call.trigger), ("refused", "http"));
    }

    #[test]
    fn secrets_do_not_come_into_the_ring() {
        let own = TraceParent::root();
        let secret = "nxs_live_0123456789abcdefghijklmnop";
        crate::masks::add([("server_span", secret)]);
        begin(secret, own, None).end(&OK);
        let call = recent().invocation(&own.span_id()).unwrap();
        assert!(!call.request_id.contains(secret), "{}", call.request_id);
    }

    #[test]
    fn people_who_read_lines_and_filters_for_spans_see_the_call() {
        let work = || {
            let mut span = begin("shown-1", TraceParent::root(), None);
            span.addressed("shop", "/api/shop/...");
            span.in_scope(|| tracing::debug!("told"));
        };
        let pretty = logged(Format::Pretty, "debug", work);
        assert!(pretty.contains("told"), "{pretty}");
        assert!(pretty.contains("shown-1") && pretty.contains("shop"), "{pretty}");
        let filtered = logged(Format::Json, "info,[call{component=shop}]=debug", work);
        assert_eq!(calls(&filtered), [(json!("shown-1"), json!("shop"))]);
    }
}
