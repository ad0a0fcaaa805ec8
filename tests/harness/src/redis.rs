//! A real redis-server for tests: in a temporary folder, on a unix socket and on a loopback port,
//! persisting nothing. It can be killed and started again at the same place.
//! Refuses to be used outside tests.

use nexus_redis_link::{Address, Link, Reach, Repeat};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Handle;

/// A machine under load still starts it within this time.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Stopped, by its process id, when dropped.
pub struct Redis {
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Redis {
    /// Starts a server and waits until it answers.
    ///
    /// # Panics
    ///
    /// When `redis-server` is not installed or does not start.
    pub async fn start() -> Self {
        let folder = TempDir::with_prefix("nx-redis-").expect("a temporary folder can be made");
        let mut server = Self { folder, port: free_port(), child: None };
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
    /// As [`Redis::start`].
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
        let probe = self.link();
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

    /// Where it runs; tests may put files there.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Opens a second port that speaks TLS with this certificate (all three as PEM); answers the
    /// port. The issuer's certificate lies in `issuer.pem` of the folder.
    ///
    /// # Panics
    ///
    /// When the server refuses the certificate.
    pub async fn enable_tls(&self, certificate: &str, key: &str, issuer: &str) -> u16 {
        let port = free_port();
        let link = self.link();
        for (option, file, pem) in [
            ("tls-cert-file", "certificate.pem", certificate),
            ("tls-key-file", "key.pem", key),
            ("tls-ca-cert-file", "issuer.pem", issuer),
        ] {
            let path = self.folder.path().join(file);
            std::fs::write(&path, pem).expect("the folder is ours");
            let path = path.display().to_string();
            link.send(&["CONFIG", "SET", option, &path], Repeat::Safe)
                .await
                .expect("a free option");
        }
        let port_text = port.to_string();
        for (option, value) in [("tls-auth-clients", "no"), ("tls-port", port_text.as_str())] {
            let set = link.send(&["CONFIG", "SET", option, value], Repeat::Safe).await;
            set.expect("the certificate fits the key");
        }
        port
    }

    fn link(&self) -> Link {
        let address = Address::parse(&self.url()).expect("our own address");
        Link::new(address, Reach::Anywhere, Handle::current())
    }

    /// Stops answering without closing anything, as a stalled machine does; undone by
    /// [`Redis::resume`].
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

/// Closed again at once; nothing else on this machine asks for this very port.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.expect("the loopback device has a free port").port()
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
