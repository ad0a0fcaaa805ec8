//! As much of CBOR (RFC 8949) as authenticators write: the canonical form of CTAP2, definite
//! lengths only. What is sent is hostile: depth and size are bounded by what is there. Pure.

/// CTAP2 §8 allows four levels.
const DEPTH_MAX: usize = 4;

/// One data item.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// Major types 0 and 1.
    Integer(i64),
    Bytes(Vec<u8>),
    Text(String),
    Array(Vec<Item>),
    /// In the order in which it came; no key twice.
    Map(Vec<(Item, Item)>),
    Bool(bool),
    Null,
}

impl Item {
    /// The value behind an integer key.
    pub fn at(&self, key: i64) -> Option<&Item> {
        self.entry(&Item::Integer(key))
    }

    /// The value behind a text key.
    pub fn named(&self, key: &str) -> Option<&Item> {
        self.entry(&Item::Text(key.to_owned()))
    }

    fn entry(&self, key: &Item) -> Option<&Item> {
        let Item::Map(entries) = self else { return None };
        entries.iter().find(|(own, _)| own == key).map(|(_, value)| value)
    }

    pub fn integer(&self) -> Option<i64> {
        match self {
            Item::Integer(value) => Some(*value),
            _ => None,
        }
    }

    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Item::Bytes(value) => Some(value),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Item::Text(value) => Some(value),
            _ => None,
        }
    }
}

/// The one item that `bytes` are; nothing may follow it.
pub fn whole(bytes: &[u8]) -> Option<Item> {
    let (item, rest) = first(bytes)?;
    rest.is_empty().then_some(item)
}

/// The item at the beginning, and what follows it.
pub fn first(bytes: &[u8]) -> Option<(Item, &[u8])> {
    let mut reader = Reader { left: bytes };
    let item = reader.item(DEPTH_MAX)?;
    Some((item, reader.left))
}

struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.left.split_at_checked(count)?;
        self.left = left;
        Some(taken)
    }

    /// Major type and argument. The shortest form only, as canonical CBOR demands.
    fn head(&mut self) -> Option<(u8, u64)> {
        let first = self.take(1)?[0];
        let (major, short) = (first >> 5, first & 0x1f);
        let value = match short {
            0..=23 => return Some((major, short.into())),
            24..=27 => {
                let width = 1_usize << (short - 24);
                let mut bytes = [0_u8; 8];
                bytes[8 - width..].copy_from_slice(self.take(width)?);
                u64::from_be_bytes(bytes)
            }
            // Indefinite lengths and what is reserved.
            _ => return None,
        };
        let least = [24, 1 << 8, 1 << 16, 1 << 32][usize::from(short - 24)];
        (value >= least).then_some((major, value))
    }

    fn item(&mut self, depth: usize) -> Option<Item> {
        let (major, argument) = self.head()?;
        let count = usize::try_from(argument).ok()?;
        match major {
            0 => i64::try_from(argument).ok().map(Item::Integer),
            1 => i64::try_from(argument).ok().map(|value| Item::Integer(-1 - value)),
            2 => self.take(count).map(|bytes| Item::Bytes(bytes.to_vec())),
            3 => {
                let text = std::str::from_utf8(self.take(count)?).ok()?;
                Some(Item::Text(text.to_owned()))
            }
            // Every item takes a byte at least: what claims more of them than there are bytes is
            // refused before anything is set aside for it.
            4 if depth > 0 && count <= self.left.len() => {
                (0..count).map(|_| self.item(depth - 1)).collect::<Option<_>>().map(Item::Array)
            }
            5 if depth > 0 && count <= self.left.len() => self.map(count, depth - 1),
            7 => match argument {
                20 => Some(Item::Bool(false)),
                21 => Some(Item::Bool(true)),
                22 => Some(Item::Null),
                _ => None,
            },
            _ => None,
        }
    }

    fn map(&mut self, count: usize, depth: usize) -> Option<Item> {
        let mut entries: Vec<(Item, Item)> = Vec::new();
        for _ in 0..count {
            let key = self.item(depth)?;
            if entries.iter().any(|(own, _)| *own == key) {
                return None;
            }
            entries.push((key, self.item(depth)?));
        }
        Some(Item::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_8949_appendix_a_are_read() {
        for (bytes, item) in [
            (&[0x00][..], Item::Integer(0)),
            (&[0x17], Item::Integer(23)),
            (&[0x18, 0x18], Item::Integer(24)),
            (&[0x19, 0x03, 0xe8], Item::Integer(1000)),
            (&[0x1a, 0x00, 0x0f, 0x42, 0x40], Item::Integer(1_000_000)),
            (&[0x1b, 0, 0, 0, 0xe8, 0xd4, 0xa5, 0x10, 0], Item::Integer(1_000_000_000_000)),
            (&[0x20], Item::Integer(-1)),
            (&[0x39, 0x03, 0xe7], Item::Integer(-1000)),
            (&[0xf4], Item::Bool(false)),
            (&[0xf5], Item::Bool(true)),
            (&[0xf6], Item::Null),
            (&[0x44, 1, 2, 3, 4], Item::Bytes(vec![1, 2, 3, 4])),
            (&[0x64, b'I', b'E', b'T', b'F'], Item::Text("IETF".into())),
            (&[0x82, 0x01, 0x80], Item::Array(vec![Item::Integer(1), Item::Array(vec![])])),
            (
                &[0xa1, 0x61, b'a', 0x01],
                Item::Map(vec![(Item::Text("a".into()), Item::Integer(1))]),
            ),
        ] {
            assert_eq!(whole(bytes), Some(item), "{bytes:02x?}");
        }
    }

    #[test]
    fn what_is_not_canonical_whole_or_bounded_is_refused() {
        for bytes in [
            &[][..],
            // Longer than need be.
            &[0x18, 0x17],
            &[0x19, 0x00, 0x18],
            // Indefinite lengths.
            &[0x5f, 0x41, 0x00, 0xff],
            &[0x9f, 0xff],
            // Cut off.
            &[0x44, 1, 2],
            &[0x82, 0x01],
            // A key twice.
            &[0xa2, 0x01, 0x01, 0x01, 0x02],
            // A tail.
            &[0x00, 0x00],
            // More than there could be.
            &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0xba, 0xff, 0xff, 0xff, 0xff],
            // Tags, floats, no UTF-8, too deep, beyond 64 bits with sign.
            &[0xc0, 0x00],
            &[0xf9, 0x00, 0x00],
            &[0x61, 0xff],
            &[0x81, 0x81, 0x81, 0x81, 0x81, 0x00],
            &[0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(whole(bytes), None, "{bytes:02x?}");
        }
    }

    #[test]
    fn what_follows_the_first_item_is_given_back() {
        assert_eq!(first(&[0x01, 0x02, 0x03]), Some((Item::Integer(1), &[2, 3][..])));
    }
}
