//! A real redis-server for tests: in a temporary folder, on a unix socket and on a loopback port,
//! persisting nothing. It can be killed and started again at the same place.
//! Refuses to be used outside tests.

use crate::{Address, Link, Reach, Repeat};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A machine under load still starts it within this time.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Stopped, by its process id, when dropped.
pub struct RedisServer {
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

impl RedisServer {
    /// Starts a server and waits until it answers.
    ///
    /// # Panics
    ///
    /// When `redis-server` is not installed or does not start.
    pub async fn start() -> Self {
        let folder = TempDir::with_prefix("nx-redis-").expect("a temporary folder can be made");
        // Closed again at once; nothing else on this machine asks for this very port.
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("the loopback device has a free port")
            .port();
        let mut server = Self { folder, port, child: None };
        server.restart().await;
        server
    }

    /// Kills it as a power failure would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("the server is our own child");
            child.wait().expect("the server is our own child");
        }
    }

    /// Starts it at the same addresses, empty.
    ///
    /// # Panics
    ///
    /// As [`RedisServer::start`].
    pub async fn restart(&mut self) {
        self.kill();
        let child = Command::new("redis-server")
            .args(["--save", "", "--appendonly", "no", "--bind", "127.0.0.1"])
            .args(["--port", &self.port.to_string()])
            .arg("--unixsocket")
            .arg(self.folder.path().join("redis.sock"))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        self.child = Some(child);
        let address = Address::parse(&self.url()).expect("our own address");
        let probe = Link::new(address, Reach::Anywhere, tokio::runtime::Handle::current());
        let deadline = Instant::now() + START_LIMIT;
        while probe.send(&["PING"], Repeat::Safe).await.is_err() {
            assert!(Instant::now() < deadline, "redis-server does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// `unix://…`, for operators' settings.
    pub fn url(&self) -> String {
        format!("unix://{}/redis.sock", self.folder.path().display())
    }

    /// `redis://127.0.0.1:<port>`, for guests.
    pub fn tcp_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Stops answering without closing anything, as a stalled machine does; undone by
    /// [`RedisServer::resume`].
    pub fn pause(&self) {
        self.signal("STOP");
    }

    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let child = self.child.as_ref().expect("the server runs");
        let mut kill = Command::new("kill");
        kill.args([&format!("-{name}"), &child.id().to_string()]);
        let status = kill.status().expect("kill is installed");
        assert!(status.success(), "the server is our own child");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
