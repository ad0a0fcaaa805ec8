//! Messages of one channel, on a connection of their own, for as long as somebody listens.
//! Refuses to promise delivery: what is published while the connection is away is lost, as
//! everywhere with Redis channels.

use crate::{Link, LinkError};
use futures::StreamExt as _;
use redis::aio::PubSub;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Messages held for a listener that is busy; then the connection waits.
const BACKLOG: usize = 1024;

const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

impl Link {
    /// The messages published to `channel_name` from now on. Reconnects by itself; dropping the
    /// receiver closes the connection.
    ///
    /// # Errors
    ///
    /// [`LinkError::Unavailable`] when the first subscription cannot be made.
    pub async fn subscribe(&self, channel_name: Vec<u8>) -> Result<Receiver<Vec<u8>>, LinkError> {
        let (sender, receiver) = channel(BACKLOG);
        let (link, name) = (self.clone(), channel_name.clone());
        let first = self.home().spawn(async move { link.listen(&name).await });
        let gone = |_| Err(self.unavailable("the host is shutting down"));
        let first = first.await.unwrap_or_else(gone)?;
        self.home().spawn(forward(self.clone(), first, channel_name, sender));
        Ok(receiver)
    }

    async fn listen(&self, channel_name: &[u8]) -> Result<PubSub, LinkError> {
        let mut messages = self.dedicated().await?;
        let subscribed = messages.subscribe(channel_name).await;
        subscribed.map_err(|error| self.unavailable(&error.to_string()))?;
        Ok(messages)
    }
}

async fn forward(link: Link, first: PubSub, channel_name: Vec<u8>, to: Sender<Vec<u8>>) {
    let mut messages = first.into_on_message();
    loop {
        tokio::select! {
            () = to.closed() => return,
            message = messages.next() => {
                if let Some(message) = message {
                    // A closed channel is seen at the next turn.
                    let _closed = to.send(message.get_payload_bytes().to_vec()).await;
                    continue;
                }
            }
        }
        messages = loop {
            tokio::select! {
                () = to.closed() => return,
                () = tokio::time::sleep(RECONNECT_PAUSE) => {}
            }
            match link.listen(&channel_name).await {
                Ok(messages) => break messages.into_on_message(),
                Err(error) => tracing::debug!(%error, "channel not subscribed again yet"),
            }
        };
    }
}
