//! Whole tracks, encrypted here and decrypted by ffmpeg: every picture and every frame of sound
//! must be what it was, whatever the encoder did.

use super::*;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const KEY: [u8; BLOCK] = [0x2b; BLOCK];
const KEY_ID: [u8; BLOCK] = [0x11; BLOCK];
const VECTOR: [u8; BLOCK] = [0x5a; BLOCK];

/// Pictures that move and have noise, so that no slice is small.
const PICTURES: &str = "testsrc2=size=320x240:rate=25:duration=2,noise=alls=20:allf=t";
const SOUND: &str = "anoisesrc=duration=2:sample_rate=48000";

struct Film {
    folder: TempDir,
    /// The head, and what follows it.
    init: Vec<u8>,
    rest: Vec<u8>,
}

fn ffmpeg(arguments: &[&str]) -> Output {
    let output = Command::new("ffmpeg").args(["-v", "error", "-nostdin"]).args(arguments).output();
    output.expect("ffmpeg is there")
}

fn succeed(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

impl Film {
    /// A fragmented track of what `source` makes, encoded as `encode` says.
    fn made(source: &str, encode: &[&str]) -> Film {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("clear.mp4");
        let mut arguments = vec!["-f", "lavfi", "-i", source];
        arguments.extend(encode);
        let flags = "+frag_keyframe+empty_moov+default_base_moof+skip_trailer";
        arguments.extend(["-movflags", flags, file.to_str().unwrap()]);
        succeed(&ffmpeg(&arguments));
        let bytes = std::fs::read(&file).unwrap();
        let parts = boxes::boxes(&bytes).unwrap();
        let head = parts.iter().take_while(|it| it.name != *b"moof");
        let (init, rest) = bytes.split_at(head.map(|it| it.whole.len()).sum());
        Film { init: init.to_vec(), rest: rest.to_vec(), folder }
    }

    fn pictures(encode: &[&str]) -> Film {
        Film::made(PICTURES, &[&["-c:v", "libx264", "-g", "25"], encode].concat())
    }

    fn file(&self, name: &str, parts: &[&[u8]]) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::write(&file, parts.concat()).unwrap();
        file
    }

    fn protected(&self) -> (Vec<u8>, Protected) {
        let mark = Mark { key_id: KEY_ID, vector: VECTOR, all_key_ids: &[KEY_ID, [7; BLOCK]] };
        let init = mark.put(&self.init).unwrap();
        let mut head = Head::read(&self.init).unwrap();
        (init, protect(&self.rest, &mut head, &Cipher::new(&KEY, VECTOR)).unwrap())
    }

    /// Asserts that with the key all frames are what they were, and that without it none is.
    fn check(&self) {
        let clear = frames(&self.file("clear", &[&self.init, &self.rest]), None);
        assert!(clear.len() >= 45, "{} frames", clear.len());
        let (init, segment) = self.protected();
        let file = self.file("protected", &[&init, &segment.bytes]);
        let opened = frames(&file, Some(&KEY));
        let same = opened.iter().zip(&clear).filter(|(opened, clear)| opened == clear).count();
        assert_eq!((same, opened.len()), (clear.len(), clear.len()), "{}", file.display());
        let wrong = frames(&file, Some(&[0x2c; BLOCK]));
        assert!(wrong.iter().all(|frame| !clear.contains(frame)), "a frame in spite of the key");
    }
}

/// A digest of each frame, as a decoder gives it.
fn frames(file: &Path, key: Option<&[u8; BLOCK]>) -> Vec<String> {
    let key = key.map(|key| key.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let mut arguments = Vec::new();
    if let Some(key) = &key {
        arguments.extend(["-decryption_key", key]);
    }
    // As a stream: of a file that it can seek in, ffmpeg 5.1 reads all fragments' heads first, and
    // takes what the last one tells of its samples for all of them.
    arguments.extend(["-i", "pipe:0", "-f", "framemd5", "-"]);
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin"]).args(arguments);
    let output = command.stdin(std::fs::File::open(file).unwrap()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let digest = |line: &str| line.rsplit(", ").next().unwrap_or_default().to_owned();
    text.lines().filter(|line| !line.starts_with('#')).map(digest).collect()
}

#[test]
fn films_of_every_kind_of_slice_are_themselves_again_with_their_key() {
    for encode in [
        // CAVLC, no B pictures.
        &["-profile:v", "baseline", "-pix_fmt", "yuv420p"][..],
        // CABAC, B pictures, weights, eight by eight transforms.
        &["-profile:v", "high", "-pix_fmt", "yuv420p", "-bf", "3", "-weightp", "2"],
        // Several slices a picture.
        &["-pix_fmt", "yuv420p", "-x264-params", "slices=5:bframes=2"],
        // Fields.
        &["-pix_fmt", "yuv420p", "-x264-params", "tff=1:bframes=2"],
        // Scaling lists, a picture of all colours, and one of none.
        &["-pix_fmt", "yuv444p", "-x264-params", "cqm=jvt:weightp=2"],
        &["-pix_fmt", "gray"],
        // Orders of pictures that are the orders of decoding, headers in every group.
        &["-pix_fmt", "yuv420p", "-bf", "0", "-x264-params", "repeat-headers=1:aud=1"],
        // Long-term marks of periodic refresh, and no deblocking.
        &["-pix_fmt", "yuv420p", "-x264-params", "intra-refresh=1:no-deblock=1:ref=5"],
        // Slices of less than a block.
        &["-pix_fmt", "yuv420p", "-crf", "51", "-x264-params", "slices=15"],
    ] {
        Film::pictures(encode).check();
    }
}

#[test]
fn sound_is_itself_again_with_its_key() {
    Film::made(SOUND, &["-c:a", "aac", "-b:a", "128k", "-frag_duration", "500000"]).check();
}

#[test]
fn a_keyframe_by_itself_is_found_where_it_has_moved_to() {
    let film = Film::pictures(&["-pix_fmt", "yuv420p"]);
    let (init, segment) = film.protected();
    let parts = boxes::boxes(&film.rest).unwrap();
    // The second fragment's head, and its first picture.
    let at: usize = parts[..2].iter().map(|it| it.whole.len()).sum();
    let traf = boxes::find(parts[2].whole, &[b"moof", b"traf"]).unwrap();
    let trun = boxes::one(traf, b"trun").unwrap().body;
    let first = u32::from_be_bytes(trun[16..20].try_into().unwrap()) as usize;
    let end = at + parts[2].whole.len() + 8 + first;
    let range = segment.moved(at as u64) as usize..segment.moved(end as u64) as usize;
    assert_eq!(&segment.bytes[range.start + 4..range.start + 8], b"moof");
    let file = film.file("still", &[&init, &segment.bytes[range]]);
    assert_eq!(frames(&file, Some(&KEY)).len(), 1);
}

#[test]
fn protecting_twice_and_what_is_no_track_of_ours_is_refused() {
    let film = Film::pictures(&["-pix_fmt", "yuv420p"]);
    let (init, segment) = film.protected();
    let again = Malformed("the track is protected already");
    assert_eq!(Head::read(&init).unwrap_err(), again);
    let mut head = Head::read(&film.init).unwrap();
    let cipher = Cipher::new(&KEY, VECTOR);
    let again = Malformed("a fragment is protected already");
    assert_eq!(protect(&segment.bytes, &mut head, &cipher), Err(again));
    let other = Film::made(PICTURES, &["-c:v", "libx265", "-x265-params", "log-level=none"]);
    assert!(Head::read(&other.init).is_err());
    for end in (0..film.rest.len()).step_by(997) {
        // Cut anywhere, it is refused or whole boxes of it are left; never a panic.
        let _ = protect(&film.rest[..end], &mut head, &cipher);
    }
}
