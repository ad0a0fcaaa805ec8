//! Keys of a package as a CPIX document (DASH-IF, Content Protection Information Exchange Format,
//! version 2.3). Pure.

use crate::domain::Class;
use crate::keys::Open;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use media_contract::PackageId;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

pub const MEDIA_TYPE: &str = "application/xml";

/// Pixels of the largest picture of a class and of the smallest, by lines of 16 to 9.
fn pixels(class: Class) -> Option<(&'static str, &'static str)> {
    match class {
        Class::Audio => None,
        Class::Sd => Some(("0", "409920")),
        Class::Hd => Some(("409921", "2073600")),
        Class::Uhd => Some(("2073601", "2147483647")),
    }
}

struct Xml(Writer<Vec<u8>>);

impl Xml {
    fn put(&mut self, event: Event<'_>) {
        self.0.write_event(event).expect("a Vec takes all");
    }

    fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        let start = BytesStart::new(name).with_attributes(attributes.iter().copied());
        self.put(Event::Empty(start));
    }

    fn element(&mut self, name: &str, attributes: &[(&str, &str)], within: impl FnOnce(&mut Xml)) {
        let start = BytesStart::new(name).with_attributes(attributes.iter().copied());
        self.put(Event::Start(start));
        within(self);
        self.put(Event::End(BytesEnd::new(name)));
    }
}

/// The document, with the keys in the clear.
pub fn document(package: PackageId, keys: &[Open]) -> String {
    let mut xml = Xml(Writer::new_with_indent(Vec::new(), b' ', 1));
    xml.put(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
    let id = package.to_string();
    let root = [
        ("xmlns", "urn:dashif:org:cpix"),
        ("xmlns:pskc", "urn:ietf:params:xml:ns:keyprov:pskc"),
        ("contentId", id.as_str()),
        ("version", "2.3"),
    ];
    xml.element("CPIX", &root, |xml| {
        xml.element("ContentKeyList", &[], |xml| keys.iter().for_each(|key| content_key(xml, key)));
        xml.element("ContentKeyUsageRuleList", &[], |xml| {
            keys.iter().for_each(|key| usage(xml, key));
        });
    });
    String::from_utf8(xml.0.into_inner()).expect("what is written is UTF-8")
}

fn content_key(xml: &mut Xml, key: &Open) {
    let id = key.key_id.to_string();
    let attributes = [("kid", id.as_str()), ("commonEncryptionScheme", "cbcs")];
    xml.element("ContentKey", &attributes, |xml| {
        xml.element("Data", &[], |xml| {
            xml.element("pskc:Secret", &[], |xml| {
                xml.element("pskc:PlainValue", &[], |xml| {
                    let value = STANDARD.encode(key.key.as_slice());
                    xml.put(Event::Text(BytesText::new(&value)));
                });
            });
        });
    });
}

fn usage(xml: &mut Xml, key: &Open) {
    let (id, class) = (key.key_id.to_string(), key.class.name());
    let attributes = [("kid", id.as_str()), ("intendedTrackType", class)];
    xml.element("ContentKeyUsageRule", &attributes, |xml| match pixels(key.class) {
        None => xml.empty("AudioFilter", &[]),
        Some((least, most)) => {
            xml.empty("VideoFilter", &[("minPixels", least), ("maxPixels", most)]);
        }
    });
}

#[test]
fn a_document_names_each_key_once_with_what_it_is_for() {
    use crate::cenc::BLOCK;
    use nexus_sdk::prelude::Uuid;
    use zeroize::Zeroizing;
    let key = |class, number: u8| Open {
        class,
        key_id: Uuid::from_bytes([number; BLOCK]),
        key: Zeroizing::new([number; BLOCK]),
    };
    let text = document(Uuid::nil().into(), &[key(Class::Audio, 1), key(Class::Hd, 2)]);
    let mut reader = quick_xml::Reader::from_str(&text);
    let mut names = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Eof => break,
            Event::Start(tag) | Event::Empty(tag) => {
                names.push(String::from_utf8(tag.name().as_ref().to_vec()).unwrap());
            }
            _ => {}
        }
    }
    let count = |name: &str| names.iter().filter(|it| *it == name).count();
    assert_eq!((count("ContentKey"), count("ContentKeyUsageRule")), (2, 2));
    assert_eq!((count("AudioFilter"), count("VideoFilter")), (1, 1));
    assert!(text.contains(">AQEBAQEBAQEBAQEBAQEBAQ==<"), "{text}");
    assert!(text.contains("kid=\"02020202-0202-0202-0202-020202020202\""), "{text}");
}
