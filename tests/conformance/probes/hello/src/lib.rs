//! The smallest guest: says hello. Built with `spin-sdk` alone.
use spin_sdk::http::{IntoResponse, Request};
use spin_sdk::http_service;

#[http_service]
async fn hello(_request: Request) -> impl IntoResponse {
    "hello"
}
