//! From words to a message as servers pass it on (RFC 5322, MIME). Pure: the date is an argument.
//!
//! Knows headers. What is put into one is an [`Address`], one line, or our own; so nothing that
//! anybody else has written can add a header or a recipient.

use crate::address::Address;
use crate::render::{Rendered, one_line};
use integration_contract::MessageId;
use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address as Mailbox;
use mail_builder::headers::raw::Raw;
use mail_builder::headers::url::URL;
use nexus_sdk::prelude::*;

/// Everything of a message but its words.
#[derive(Debug)]
pub struct Envelope<'a> {
    pub id: MessageId,
    pub from: &'a Address,
    pub from_name: &'a str,
    pub reply_to: Option<&'a Address>,
    pub to: &'a Address,
    pub at: Time,
    pub locale: &'a str,
    /// Where one click unsubscribes.
    pub unsubscribe: Option<&'a str>,
}

/// The `Message-ID` without its brackets: by it, what comes back is recognised.
pub fn message_id(id: MessageId, from: &Address) -> String {
    format!("{id}@{}", from.domain())
}

/// The whole message.
pub fn compose(envelope: &Envelope<'_>, words: &Rendered) -> Result<Vec<u8>> {
    let name = one_line(envelope.from_name);
    let mut message = MessageBuilder::new()
        .from(Mailbox::new_address(Some(name), envelope.from.as_str()))
        .to(Mailbox::new_address(None::<&str>, envelope.to.as_str()))
        .subject(one_line(&words.subject))
        .date(envelope.at.timestamp())
        .message_id(message_id(envelope.id, envelope.from))
        // RFC 3834: no machine answers a machine.
        .header("Auto-Submitted", Raw::new("auto-generated"))
        .header("X-Auto-Response-Suppress", Raw::new("All"))
        .header("Content-Language", Raw::new(envelope.locale))
        .text_body(words.plain.as_str())
        .html_body(words.html.as_str());
    if let Some(address) = envelope.reply_to {
        message = message.reply_to(Mailbox::new_address(None::<&str>, address.as_str()));
    }
    if let Some(link) = envelope.unsubscribe {
        // RFC 8058.
        message = message
            .header("List-Unsubscribe", URL::new(link))
            .header("List-Unsubscribe-Post", Raw::new("List-Unsubscribe=One-Click"));
    }
    message.write_to_vec().map_err(|why| Failure::new(why).context("write the message").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_parser::{HeaderValue, MessageParser};

    fn address(text: &str) -> Address {
        Address::read(text).unwrap()
    }

    fn made(from_name: &str, subject: &str, unsubscribe: Option<&str>) -> Vec<u8> {
        let (from, to) = (address("no-reply@nexus.example"), address("ada@example.org"));
        let envelope = Envelope {
            id: Uuid::from_u128(7).into(),
            from: &from,
            from_name,
            reply_to: None,
            to: &to,
            at: "2026-03-01T10:00:00Z".parse().unwrap(),
            locale: "en",
            unsubscribe,
        };
        let plain = format!("Grüße\n.\nFrom me\n{}", "long ".repeat(400));
        let html = "<p>Grüße</p>".to_owned();
        compose(&envelope, &Rendered { subject: subject.into(), html, plain }).unwrap()
    }

    #[test]
    fn a_message_is_read_back_as_it_was_written() {
        let bytes = made("Nexus “Ünïcode”", "Grüße aus 東京", None);
        let read = MessageParser::default().parse(&bytes).unwrap();
        assert_eq!(read.subject(), Some("Grüße aus 東京"));
        let from = read.from().and_then(|from| from.first()).unwrap();
        assert_eq!(from.name.as_deref(), Some("Nexus “Ünïcode”"));
        assert_eq!(from.address.as_deref(), Some("no-reply@nexus.example"));
        let to = read.to().and_then(|to| to.first()).unwrap();
        assert_eq!(to.address.as_deref(), Some("ada@example.org"));
        assert_eq!(read.date().map(|date| date.to_timestamp()), Some(1_772_359_200));
        let id = format!("{}@nexus.example", Uuid::from_u128(7));
        assert_eq!(read.message_id(), Some(id.as_str()));
        let text = read.body_text(0).unwrap().replace("\r\n", "\n");
        assert!(text.starts_with("Grüße\n.\nFrom me\nlong long"), "{text}");
        assert_eq!(read.body_html(0).as_deref(), Some("<p>Grüße</p>"));
        assert_eq!(header(&read, "Auto-Submitted"), "auto-generated");
        assert!(read.header("List-Unsubscribe").is_none());
    }

    fn header(read: &mail_parser::Message<'_>, name: &str) -> String {
        match read.header(name.to_owned()) {
            Some(HeaderValue::Text(text)) => text.to_string(),
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn a_notice_can_be_unsubscribed_from_with_one_click() {
        let link = "https://nexus.example/api/email/v1/unsubscribe?token=abc";
        let text = String::from_utf8(made("Nexus", "News", Some(link))).unwrap();
        let unfolded = text.replace("\r\n ", " ").replace("\r\n\t", " ");
        assert!(unfolded.contains(&format!("List-Unsubscribe: <{link}>\r\n")), "{unfolded}");
        assert!(unfolded.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"));
    }

    #[test]
    fn nothing_given_becomes_a_header_of_its_own() {
        for evil in [
            "a\r\nBcc: eve@example.org",
            "a\nBcc: eve@example.org",
            "a\rBcc: eve@example.org",
            "a\u{0}\r\n\r\n<html>",
            "a\u{2028}Bcc: eve@example.org",
            "\" <eve@example.org>, \"",
            "=?utf-8?q?a=0D=0ABcc:_eve@example.org?=",
        ] {
            let bytes = made(evil, evil, None);
            let read = MessageParser::default().parse(&bytes).unwrap();
            assert!(read.bcc().is_none(), "{evil:?}");
            assert_eq!(read.from().map(|from| from.iter().count()), Some(1), "{evil:?}");
            let from = read.from().and_then(|from| from.first()).unwrap();
            assert_eq!(from.address.as_deref(), Some("no-reply@nexus.example"), "{evil:?}");
            assert_eq!(read.to().map(|to| to.iter().count()), Some(1), "{evil:?}");
            assert_eq!(read.body_html(0).as_deref(), Some("<p>Grüße</p>"), "{evil:?}");
        }
    }

    #[test]
    fn lines_are_short_and_end_as_the_protocol_wants() {
        let bytes = made("Nexus", &"Grüße ".repeat(30), None);
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "a bare line break");
        for line in text.split("\r\n") {
            assert!(line.len() <= 998 && line.is_ascii(), "{line}");
        }
    }
}
