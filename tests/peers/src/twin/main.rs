//! `twin <address> [<database url> [sqlx]]`: the native twin as a program, on as many threads as
//! there are cores; its rows over connections of its own, or over sqlx.

use anyhow::{Context as _, Result};
use peers::Pool;
use tokio::net::TcpListener;

/// The host's own, so that the two differ in nothing but what is compared.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Connections to PostgreSQL: more than can work at once on the machines that this is run on.
const CONNECTIONS: usize = 16;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().context("name an address to listen on")?;
    let mut routes = peers::router();
    if let Some(url) = arguments.next() {
        let rows = match arguments.next() {
            None => peers::rows(Pool::connect(&url, CONNECTIONS).await?),
            Some(_) => over_sqlx(&url).await?,
        };
        routes = routes.merge(rows);
    }
    let listener = TcpListener::bind(&address).await.context("listen")?;
    peers::serve(listener, routes).await
}

#[cfg(feature = "sqlx")]
async fn over_sqlx(url: &str) -> Result<axum::Router> {
    peers::over_sqlx::rows(url, CONNECTIONS).await
}

#[cfg(not(feature = "sqlx"))]
async fn over_sqlx(_url: &str) -> Result<axum::Router> {
    anyhow::bail!("this twin was built without sqlx")
}
