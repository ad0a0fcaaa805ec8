//! `wasi:http/client@0.3` and `wasi:http/outgoing-handler@0.2` as guests see them: wasmtime's own
//! implementation, told on whose behalf each request is sent; and `nexus:http/asking`, which has
//! no handles. Refuses to know how a request travels.

use crate::OutboundHttp;
use crate::client::{Client, Origin};
use crate::egress::Egress;
use bindings::nexus::http::asking;
use nexus_runtime::{Call, Instance, Request, caller};
use std::sync::Arc;
use wasmtime::component::{Accessor, HasData, Linker, Resource};
use wasmtime_wasi::TrappableError;
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler;
use wasmtime_wasi_http::p3;
use wasmtime_wasi_http::p3::bindings::http::client;
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttp, WasiHttpCtxView, WasiHttpHooks,
};

#[allow(unreachable_pub)]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../../wit/nexus-http@0.1.0",
        world: "nexus:http/client",
        imports: { default: trappable },
    });
}

/// What one instance keeps: its way out, and who is calling it while a request is being sent.
pub struct OutboundState {
    client: Client,
    egress: Arc<Egress>,
    /// Set at the beginning of each host function and taken by the hook it calls, with no await in
    /// between: the instance may serve several calls at once.
    caller: Option<Arc<Call>>,
}

impl OutboundState {
    pub(crate) fn new(client: Client, egress: Arc<Egress>) -> Self {
        Self { client, egress, caller: None }
    }
}

type Transmitted = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Received = Result<(http::Response<WasiBody>, Transmitted), Error>;

impl WasiHttpHooks for OutboundState {
    fn send_request(
        &mut self,
        request: Request,
        options: Option<RequestOptions>,
        _received: Transmitted,
    ) -> Box<dyn Future<Output = Received> + Send> {
        let client = self.client.clone();
        let origin = Origin { egress: self.egress.clone(), call: self.caller.take() };
        Box::new(async move {
            let response = client.send(request, options, &origin).await?;
            // Connections are driven by the pool; there is nothing left for the guest to drive.
            let transmitted: Transmitted = Box::new(std::future::ready(Ok(())));
            Ok((response, transmitted))
        })
    }
}

/// The 0.3 client, knowing its caller.
struct Sending;

impl HasData for Sending {
    type Data<'a> = WasiHttpCtxView<'a>;
}

impl client::HostWithStore<Instance> for Sending {
    async fn send(
        accessor: &Accessor<Instance, Self>,
        request: Resource<p3::Request>,
    ) -> Result<Resource<p3::Response>, TrappableError<ErrorCode>> {
        accessor.with(|mut access| {
            let call = caller(&mut access);
            access.data_mut().view::<OutboundHttp>().state.caller = call;
        });
        let wasi = accessor.with_getter::<WasiHttp>(Instance::http_view::<OutboundHttp>);
        <WasiHttp as client::HostWithStore<Instance>>::send(&wasi, request).await
    }
}

impl asking::Host for WasiHttpCtxView<'_> {}

impl asking::HostWithStore<Instance> for Sending {
    async fn ask(
        accessor: &Accessor<Instance, Self>,
        component: String,
        head_bytes: u32,
        request: Vec<u8>,
    ) -> wasmtime::Result<Result<asking::Reply, String>> {
        let (client, origin) = accessor.with(|mut access| {
            let call = caller(&mut access);
            let OutboundState { client, egress, .. } =
                access.data_mut().view::<OutboundHttp>().state;
            (client.clone(), Origin { egress: egress.clone(), call })
        });
        let request = match nexus_runtime::request(head_bytes, request) {
            Ok(request) => request,
            Err(why) => return Ok(Err(why)),
        };
        Ok(match client.ask(&component, request, &origin).await {
            Ok(reply) => {
                let (head, body) = reply.into_parts();
                let fields = nexus_runtime::fields(&head.headers)?;
                Ok(asking::Reply { status: head.status.as_u16(), fields, body: body.into() })
            }
            Err(why) => Err(format!("{why:?}")),
        })
    }
}

pub(crate) fn link(linker: &mut Linker<Instance>) -> wasmtime::Result<()> {
    client::add_to_linker::<Instance, Sending>(linker, Instance::http_view::<OutboundHttp>)?;
    asking::add_to_linker::<Instance, Sending>(linker, Instance::http_view::<OutboundHttp>)?;
    // A 0.2 instance serves one call, so whoever is being served is the caller.
    outgoing_handler::add_to_linker::<Instance, WasiHttp>(linker, |instance| {
        let call = instance.sole_call();
        instance.view::<OutboundHttp>().state.caller = call;
        instance.http_view::<OutboundHttp>()
    })
}
