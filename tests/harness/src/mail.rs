//! Mail as its readers find it: the folder into which the host's own worker delivers. Knows the
//! form of a message; refuses to know what any of them should say.

use crate::nexus::Nexus;
use mail_parser::{Message, MessageParser};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The worker is started when there is a first message, on a busy machine.
const ARRIVES_WITHIN: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(25);

/// One message that has arrived.
#[derive(Debug, Clone)]
pub struct Mail {
    pub from: String,
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    /// Web addresses in the text, in order.
    pub links: Vec<String>,
    /// As it lies in the folder.
    pub raw: String,
}

impl Nexus {
    /// Waits for the next message to an address. Each message is given once, in the order in which
    /// they were asked for.
    ///
    /// # Panics
    ///
    /// When none comes.
    pub async fn mail(&self, to: &str) -> Mail {
        let end = Instant::now() + ARRIVES_WITHIN;
        loop {
            let files = files(&self.mail_folder().join("new"));
            let read = files.iter().map(|file| (file, Mail::read(file)));
            if let Some((file, mail)) = read.into_iter().find(|(_, mail)| mail.to == to) {
                mark_read(file);
                return mail;
            }
            let there: Vec<_> = files.iter().map(|file| Mail::read(file).to).collect();
            assert!(
                Instant::now() < end,
                "no mail to {to} within {ARRIVES_WITHIN:?}; unread is mail to {there:?} (is \
                 nx-media staged? run cargo xtask build nx-media)"
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Every message that has arrived by now, read or not.
    pub fn mailbox(&self) -> Vec<Mail> {
        let mut all = files(&self.mail_folder().join("cur"));
        all.extend(files(&self.mail_folder().join("new")));
        all.iter().map(|file| Mail::read(file)).collect()
    }

    fn mail_folder(&self) -> PathBuf {
        self.host().home().join("mail")
    }
}

impl Mail {
    /// The first web address in the text.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[track_caller]
    pub fn link(&self) -> &str {
        match self.links.first() {
            Some(link) => link,
            None => panic!("no link in {self:?}"),
        }
    }

    /// A header as it was sent, unfolded.
    pub fn header(&self, name: &str) -> Option<String> {
        let head = self.raw.split("\r\n\r\n").next()?.replace("\r\n ", " ").replace("\r\n\t", " ");
        let own = head.lines().find(|line| {
            line.split_once(':').is_some_and(|(own, _)| own.eq_ignore_ascii_case(name))
        })?;
        Some(own.split_once(':')?.1.trim().to_owned())
    }

    fn read(file: &Path) -> Self {
        let bytes = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let message = MessageParser::default().parse(&bytes).expect("a message");
        let text = message.body_text(0).unwrap_or_default().into_owned();
        let address = |list: Option<&mail_parser::Address<'_>>| {
            let first = list.and_then(|list| list.first());
            first.and_then(|one| one.address()).unwrap_or_default().to_owned()
        };
        Self {
            from: address(Message::from(&message)),
            to: address(message.to()),
            subject: message.subject().unwrap_or_default().to_owned(),
            links: links(&text),
            html: message.body_html(0).unwrap_or_default().into_owned(),
            raw: String::from_utf8_lossy(&bytes).into_owned(),
            text,
        }
    }
}

/// In the order of their names, which begin with when they were delivered and go on with an id that
/// sorts as they were asked for.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
    let id = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.split('.').nth(1).unwrap_or_default().to_owned()
    };
    files.sort_by_key(id);
    files
}

/// As a mail program does.
fn mark_read(file: &Path) {
    let folder = file.parent().and_then(Path::parent).expect("a file of a maildir");
    let name = file.file_name().expect("a file has a name").to_string_lossy();
    let read = folder.join("cur").join(format!("{name}:2,S"));
    fs::rename(file, &read).unwrap_or_else(|error| panic!("{}: {error}", read.display()));
}

fn links(text: &str) -> Vec<String> {
    let words = text.split_whitespace();
    let is_link = |word: &&str| word.starts_with("http://") || word.starts_with("https://");
    words.filter(is_link).map(str::to_owned).collect()
}
