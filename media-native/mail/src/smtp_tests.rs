//! Conversations with a server on loopback that answers as it is told, in the clear and by TLS.

use super::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What the server answers to a command, or to the message (`.`); 2xx to all else.
type Script = &'static [(&'static str, &'static str)];

/// A server that takes conversations and remembers what was said, one line each.
struct Receiver {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone)]
struct Manners {
    script: Script,
    heard: Arc<Mutex<Vec<String>>>,
    tls: Option<Arc<ServerConfig>>,
}

impl Receiver {
    fn start(script: Script, tls: Option<Arc<ServerConfig>>, is_tls_first: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let manners = Manners { script, heard: heard.clone(), tls };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let manners = manners.clone();
                // A client that leaves in the middle is what some tests are about.
                std::thread::spawn(move || match (&manners.tls, is_tls_first) {
                    (Some(tls), true) => encrypted(stream, tls.clone())
                        .and_then(|stream| manners.converse(stream, true).map(drop)),
                    _ => manners.begin(stream),
                });
            }
        });
        Self { port, heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    fn verbs(&self) -> Vec<String> {
        let first = |line: &String| line.split([' ', ':']).next().unwrap_or_default().to_owned();
        self.heard().iter().map(first).collect()
    }
}

fn encrypted(
    stream: TcpStream,
    tls: Arc<ServerConfig>,
) -> std::io::Result<StreamOwned<ServerConnection, TcpStream>> {
    let connection = ServerConnection::new(tls).map_err(std::io::Error::other)?;
    Ok(StreamOwned::new(connection, stream))
}

impl Manners {
    fn begin(&self, stream: TcpStream) -> std::io::Result<()> {
        let starts_tls = self.converse(stream.try_clone()?, false)?;
        match &self.tls {
            Some(tls) if starts_tls => {
                self.converse(encrypted(stream, tls.clone())?, true).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Until the end, or until it goes on by TLS.
    fn converse(&self, stream: impl Read + Write, is_tls: bool) -> std::io::Result<bool> {
        let mut stream = BufReader::with_capacity(1, stream);
        if !(is_tls && self.starts_tls()) {
            let greeting = self.answer("GREETING", "220 test ESMTP");
            stream.get_mut().write_all(format!("{greeting}\r\n").as_bytes())?;
        }
        let mut line = String::new();
        loop {
            line.clear();
            if stream.read_line(&mut line)? == 0 {
                return Ok(false);
            }
            let said = line.trim_end().to_owned();
            let verb = said.split([' ', ':']).next().unwrap_or_default().to_owned();
            self.heard.lock().unwrap().push(said);
            let usual = match verb.as_str() {
                "EHLO" if self.starts_tls() && !is_tls => "250-test\r\n250 STARTTLS",
                "EHLO" => "250-test\r\n250 AUTH PLAIN",
                "DATA" => "354 go on",
                "AUTH" => "235 welcome",
                "STARTTLS" | "QUIT" => "220 ok",
                _ => "250 ok",
            };
            let answer = self.answer(&verb, usual);
            if answer == "(hangs up)" {
                return Ok(false);
            }
            stream.get_mut().write_all(format!("{answer}\r\n").as_bytes())?;
            match verb.as_str() {
                "STARTTLS" => return Ok(true),
                "QUIT" => return Ok(false),
                "DATA" if answer.starts_with("354") => {
                    if !self.take(&mut stream)? {
                        return Ok(false);
                    }
                }
                _ => {}
            }
        }
    }

    /// The message, as one entry; false when the script hangs up after it.
    fn take(&self, stream: &mut BufReader<impl Read + Write>) -> std::io::Result<bool> {
        let mut message = String::new();
        while !message.ends_with("\r\n.\r\n") {
            if stream.read_line(&mut message)? == 0 {
                return Ok(false);
            }
        }
        self.heard.lock().unwrap().push(message);
        let answer = self.answer(".", "250 2.0.0 taken");
        if answer == "(hangs up)" {
            return Ok(false);
        }
        stream.get_mut().write_all(format!("{answer}\r\n").as_bytes())?;
        Ok(true)
    }

    fn starts_tls(&self) -> bool {
        self.script.iter().any(|(verb, _)| *verb == "OFFERS STARTTLS")
    }

    fn answer(&self, verb: &str, usual: &str) -> String {
        let own = self.script.iter().find(|(known, _)| *known == verb);
        own.map_or(usual, |(_, answer)| answer).to_owned()
    }
}

/// An authority of the test's own, and a certificate of it for `localhost`.
fn certificate() -> (Arc<ServerConfig>, Vec<u8>) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let own = own.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.der().clone()], der)
        .unwrap();
    (Arc::new(config), issuer.pem().into_bytes())
}

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nHello\r\n.hidden\r\n.\r\nBye\r\n";

fn plain(port: u16) -> Server {
    Server::new("127.0.0.1", port, Security::Plain, None, None).unwrap()
}

fn deliver(server: &Server, attempt: u32) -> Result<Output, Failure> {
    server.deliver(attempt, "no-reply@nexus.example", "ada@example.org", MESSAGE)
}

fn bounce(script: Script) -> Result<Output, Failure> {
    deliver(&plain(Receiver::start(script, None, false).port), 1)
}

#[test]
fn a_message_is_handed_over_whole_even_where_its_lines_are_dots() {
    let receiver = Receiver::start(&[], None, false);
    let output = deliver(&plain(receiver.port), 1).unwrap();
    assert_eq!(output, Output { result: Outcome::Sent, code: Some(250), permanent: false });
    let heard = receiver.heard();
    assert_eq!(heard[1..3], ["MAIL FROM:<no-reply@nexus.example>", "RCPT TO:<ada@example.org>"]);
    let message = "Subject: x\r\n\r\nHello\r\n..hidden\r\n..\r\nBye\r\n";
    assert!(heard[4].starts_with(message) && heard[4].ends_with("\r\n.\r\n"), "{:?}", heard[4]);
}

#[test]
fn a_refusal_for_good_is_a_bounce_and_tells_whether_the_mailbox_is_none() {
    for (script, code, permanent) in [
        (&[("RCPT", "550 5.1.1 <ada@example.org>: who?")] as Script, 550, true),
        (&[("RCPT", "552 5.2.2 full")], 552, false),
        (&[("RCPT", "550 5.7.1 not from you")], 550, false),
        (&[("MAIL", "550 bad sender")], 550, false),
        (&[(".", "554 5.7.1 spam")], 554, false),
    ] {
        let output = bounce(script).unwrap();
        let expected = Output { result: Outcome::Bounced, code: Some(code), permanent };
        assert_eq!(output, expected, "{script:?}");
    }
}

#[test]
fn what_may_pass_is_tried_again_and_later_each_time() {
    for script in [
        &[("RCPT", "451 4.7.1 greylisted, ada@example.org")] as Script,
        &[("GREETING", "554 no service")],
        &[("GREETING", "421 too busy")],
        &[("MAIL", "421 too busy")],
        &[(".", "452 4.3.1 no space")],
        &[(".", "(hangs up)")],
        &[("RCPT", "(hangs up)")],
    ] {
        let Err(Failure::Retry { after, reason }) = bounce(script) else {
            panic!("{script:?} is tried again")
        };
        assert_eq!(after, Some(Duration::from_secs(60)), "{script:?}");
        assert!(!reason.contains("ada@"), "{reason}");
    }
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let third = deliver(&plain(nobody), 3);
    assert!(
        matches!(third, Err(Failure::Retry { after: Some(after), .. }) if after.as_secs() == 900)
    );
}

#[test]
fn a_login_that_is_refused_is_no_fault_of_the_message() {
    let login = Some(("user".to_owned(), "s3cret".to_owned()));
    let receiver = Receiver::start(&[("AUTH", "535 5.7.8 no")], None, false);
    let server =
        Server::new("127.0.0.1", receiver.port, Security::Plain, login.clone(), None).unwrap();
    let Err(Failure::Retry { reason, .. }) = deliver(&server, 1) else { panic!("a retry") };
    assert_eq!(reason, "the mail server answers 535");
    let receiver = Receiver::start(&[], None, false);
    let server = Server::new("127.0.0.1", receiver.port, Security::Plain, login, None).unwrap();
    assert_eq!(deliver(&server, 1).unwrap().result, Outcome::Sent);
    assert_eq!(receiver.verbs()[..3], ["EHLO", "AUTH", "MAIL"]);
}

#[test]
fn a_server_without_tls_is_told_nothing() {
    let receiver = Receiver::start(&[], None, false);
    let login = Some(("user".to_owned(), "s3cret".to_owned()));
    let server = Server::new("localhost", receiver.port, Security::StartTls, login, None).unwrap();
    assert!(matches!(deliver(&server, 1), Err(Failure::Retry { .. })));
    let verbs = receiver.verbs();
    assert!(!verbs.iter().any(|verb| verb == "MAIL" || verb == "AUTH"), "{verbs:?}");
}

#[test]
fn mail_travels_by_tls_to_a_server_that_proves_its_name() {
    let (tls, authority) = certificate();
    for (security, script, is_tls_first) in [
        (Security::Tls, &[] as Script, true),
        (Security::StartTls, &[("OFFERS STARTTLS", "")], false),
    ] {
        let receiver = Receiver::start(script, Some(tls.clone()), is_tls_first);
        let trusting =
            Server::new("localhost", receiver.port, security, None, Some(&authority)).unwrap();
        assert_eq!(deliver(&trusting, 1).unwrap().result, Outcome::Sent, "{security:?}");
        let heard = receiver.heard().len();
        let wary = Server::new("localhost", receiver.port, security, None, None).unwrap();
        let Err(Failure::Retry { reason, .. }) = deliver(&wary, 1) else { panic!("a retry") };
        assert!(reason.contains("TLS") || reason.contains("certificate"), "{reason}");
        let after = receiver.verbs().split_off(heard);
        assert!(!after.iter().any(|verb| verb == "MAIL"), "{after:?}");
    }
}
