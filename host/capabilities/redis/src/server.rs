//! Commands answered by a Redis server, over the process's one connection to it. Refuses to know
//! whose keys they touch.

use crate::{Backend, Messages, RedisError};
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use nexus_redis_link::{Address, Link, Reach, Repeat, Reply};
use tokio::runtime::Handle;

/// The backend.
pub struct OnServer {
    link: Link,
}

impl OnServer {
    /// Uses the server at `url` (`redis://`, `rediss://` or `unix://`) as this host's own store;
    /// connects with the first command. `home` carries the connection.
    ///
    /// # Errors
    ///
    /// [`RedisError::Address`].
    pub fn new(url: &str, home: Handle) -> Result<Self, RedisError> {
        Ok(Self::over(Link::new(Address::parse(url)?, Reach::Anywhere, home)))
    }

    pub(crate) fn over(link: Link) -> Self {
        Self { link }
    }
}

#[async_trait]
impl Backend for OnServer {
    async fn run(&self, command: Vec<Bytes>, repeat: Repeat) -> Result<Reply, RedisError> {
        Ok(self.link.send(&command, repeat).await?)
    }

    async fn subscribe(&self, channel: Bytes) -> Result<Messages, RedisError> {
        let mut messages = self.link.subscribe(channel.to_vec()).await?;
        let next = futures::stream::poll_fn(move |cx| messages.poll_recv(cx));
        Ok(next.map(Bytes::from).boxed())
    }
}
