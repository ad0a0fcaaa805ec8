//! A `wasi:http/proxy@0.2` guest, as older toolchains make them: one instance per request.

use std::sync::atomic::{AtomicU32, Ordering};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

/// Would grow if an instance were ever reused.
static SERVED: AtomicU32 = AtomicU32::new(0);

struct Component;

wasip2::http::proxy::export!(Component);

impl Guest for Component {
    fn handle(request: IncomingRequest, outparam: ResponseOutparam) {
        let served = SERVED.fetch_add(1, Ordering::Relaxed) + 1;
        let path = request.path_with_query().unwrap_or_default();
        let response = OutgoingResponse::new(Fields::new());
        let body = response.body().expect("the body is taken once");
        ResponseOutparam::set(outparam, Ok(response));
        let stream = body.write().expect("the stream is taken once");
        let text = format!("request {served} of this instance: {path}");
        stream.blocking_write_and_flush(text.as_bytes()).expect("the caller reads");
        drop(stream);
        OutgoingBody::finish(body, None).expect("no length was promised");
    }
}
