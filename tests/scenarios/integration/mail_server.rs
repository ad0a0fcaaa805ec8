//! A mail server on loopback: takes mail for all but those whose names say otherwise, and remembers
//! what it was given.

use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// One message as it was handed over.
#[derive(Debug, Clone)]
pub struct Handed {
    pub to: String,
    pub message: String,
}

/// `nobody@…` is refused for good, `later@…` at the first try.
pub struct MailServer {
    port: u16,
    handed: Arc<Mutex<Vec<Handed>>>,
}

impl MailServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let handed: Arc<Mutex<Vec<Handed>>> = Arc::default();
        let (taken, tried) = (handed.clone(), Arc::new(Mutex::new(0)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, taken.clone(), tried.clone()));
            }
        });
        Self { port, handed }
    }

    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    pub fn handed(&self) -> Vec<Handed> {
        self.handed.lock().unwrap().clone()
    }
}

async fn converse(
    stream: TcpStream,
    handed: Arc<Mutex<Vec<Handed>>>,
    tried: Arc<Mutex<u32>>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 test ESMTP\r\n").await.ok()?;
    let (mut line, mut to) = (String::new(), String::new());
    loop {
        line.clear();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        let said = line.trim_end();
        let answer = match said.split([' ', ':']).next()? {
            "RCPT" => {
                to = said.split_once('<')?.1.trim_end_matches('>').to_owned();
                match to.split('@').next()? {
                    "nobody" => "550 5.1.1 no such mailbox",
                    "later" if first(&tried) => "451 4.7.1 come again",
                    _ => "250 ok",
                }
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await.ok()?;
                let mut message = String::new();
                while !message.ends_with("\r\n.\r\n") {
                    stream.read_line(&mut message).await.ok().filter(|read| *read > 0)?;
                }
                handed.lock().unwrap().push(Handed { to: to.clone(), message });
                "250 2.0.0 taken"
            }
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    }
}

fn first(tried: &Mutex<u32>) -> bool {
    let mut tried = tried.lock().unwrap();
    *tried += 1;
    *tried == 1
}
