//! The films. Each line of arguments is what a person would type.

use crate::{Fate, Film, Then};

/// One of a name.
pub fn film(name: &str) -> Film {
    let found = FILMS.iter().find(|film| film.name == name);
    *found.unwrap_or_else(|| panic!("there is no film {name:?}"))
}

/// All films.
pub const FILMS: &[Film] = &[
    Film {
        name: "plain.mp4",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=30000/1001 -f lavfi -i \
             sine=frequency=440:sample_rate=48000 -t 3 -c:v libx264 -preset ultrafast \
             -pix_fmt yuv420p -c:a aac -b:a 96k -ac 2",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(90), sounds: 1 },
    },
    Film {
        name: "24.mp4",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=24 -f lavfi -i \
             sine=frequency=440:sample_rate=48000 -t 3 -c:v libx264 -preset ultrafast \
             -pix_fmt yuv420p -c:a aac -b:a 96k -ac 2",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(72), sounds: 1 },
    },
    Film {
        name: "23.976.mkv",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=24000/1001 -f lavfi -i \
             sine=frequency=440:sample_rate=48000 -t 3 -c:v libx264 -preset ultrafast \
             -pix_fmt yuv420p -c:a aac -b:a 96k -ac 2",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(72), sounds: 1 },
    },
    Film {
        name: "25.mov",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i \
             sine=frequency=440:sample_rate=48000 -t 3 -c:v mjpeg -pix_fmt yuvj420p \
             -c:a pcm_s16le",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(75), sounds: 1 },
    },
    Film {
        name: "50.mp4",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=50 -t 2 -c:v libx264 -preset \
             ultrafast -pix_fmt yuv420p",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(100), sounds: 0 },
    },
    Film {
        name: "60.mkv",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=60 -f lavfi -i \
             sine=frequency=440:sample_rate=48000 -t 2 -c:v libx264 -preset ultrafast \
             -pix_fmt yuv420p -c:a aac -b:a 96k",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(120), sounds: 1 },
    },
    Film {
        name: "120.mp4",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=120 -t 2 -c:v libx264 -preset \
             ultrafast -pix_fmt yuv420p",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(120), sounds: 0 },
    },
    Film {
        name: "variable.mkv",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=30,select='not(eq(mod(n\\,7)\\,3))' \
             -t 3 -vsync vfr -c:v libx264 -preset ultrafast -pix_fmt yuv420p",
        then: Then::Nothing,
        fate: Fate::Plays { frames: None, sounds: 0 },
    },
    Film {
        name: "interlaced.ts",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=50,interlace -f lavfi -i \
             sine=frequency=440:sample_rate=48000 -t 3 -c:v mpeg2video -flags \
             +ilme+ildct -b:v 2M -c:a mp2",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(75), sounds: 1 },
    },
    Film {
        name: "rotated.mp4",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i \
             sine=frequency=440:sample_rate=48000 -t 2 -c:v libx264 -preset ultrafast \
             -pix_fmt yuv420p -c:a aac -b:a 96k",
        then: Then::Again("-i INPUT -c copy -metadata:s:v rotate=90"),
        fate: Fate::Plays { frames: Some(50), sounds: 1 },
    },
    Film {
        name: "odd.mkv",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=25,scale=319:181 -t 2 -c:v ffv1 \
             -pix_fmt yuv444p",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(50), sounds: 0 },
    },
    Film {
        name: "anamorphic.mp4",
        made_by: "-f lavfi -i testsrc2=size=180x144:rate=25,setsar=64/45 -t 2 -c:v libx264 \
             -preset ultrafast -pix_fmt yuv420p",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(50), sounds: 0 },
    },
    Film {
        name: "hdr10.mp4",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=25 -t 2 -c:v libx265 -preset \
             ultrafast -x265-params log-level=none -pix_fmt yuv420p10le \
             -color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(50), sounds: 0 },
    },
    Film {
        name: "hlg.mkv",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=25 -t 2 -c:v libx265 -preset \
             ultrafast -x265-params log-level=none -pix_fmt yuv420p10le \
             -color_primaries bt2020 -color_trc arib-std-b67 -colorspace bt2020nc",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(50), sounds: 0 },
    },
    Film {
        name: "surround.mp4",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i \
             sine=frequency=440:sample_rate=48000 -t 2 -c:v libx264 -preset ultrafast \
             -pix_fmt yuv420p -c:a aac -b:a 96k -ac 6",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(50), sounds: 1 },
    },
    Film {
        name: "mono.mp4",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i \
             sine=frequency=440:sample_rate=48000 -t 2 -c:v libx264 -preset ultrafast \
             -pix_fmt yuv420p -c:a aac -b:a 96k -ac 1",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(50), sounds: 1 },
    },
    Film {
        name: "without-sound.mp4",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=25 -t 2 -c:v libx264 -preset \
             ultrafast -pix_fmt yuv420p",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(50), sounds: 0 },
    },
    Film {
        name: "late-sound.mp4",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=25 -itsoffset 1 -f lavfi -i \
             sine=frequency=440:sample_rate=48000 -t 3 -c:v libx264 -preset ultrafast \
             -pix_fmt yuv420p -c:a aac -b:a 96k",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(75), sounds: 1 },
    },
    Film {
        name: "two-languages.mkv",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i \
             sine=frequency=440:sample_rate=48000 -f lavfi -i \
             sine=frequency=880:sample_rate=44100 -map 0 -map 1 -map 2 -t 2 -c:v \
             libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac -b:a 96k \
             -metadata:s:a:0 language=deu -metadata:s:a:1 language=fra",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(50), sounds: 2 },
    },
    Film {
        name: "silent.mp4",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i \
             anullsrc=r=48000:cl=stereo -t 2 -c:v libx264 -preset ultrafast -pix_fmt \
             yuv420p -c:a aac -b:a 96k",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(50), sounds: 1 },
    },
    Film {
        name: "one-frame.mp4",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=25 -frames:v 1 -c:v libx264 -preset \
             ultrafast -pix_fmt yuv420p",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(1), sounds: 0 },
    },
    Film {
        name: "cut.mkv",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i \
             sine=frequency=440:sample_rate=48000 -t 4 -c:v libx264 -preset ultrafast \
             -pix_fmt yuv420p -c:a aac -b:a 96k",
        then: Then::Cut(600),
        fate: Fate::Plays { frames: None, sounds: 1 },
    },
    Film {
        name: "cut-index-first.mp4",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i \
             sine=frequency=440:sample_rate=48000 -t 4 -c:v libx264 -preset ultrafast \
             -pix_fmt yuv420p -c:a aac -b:a 96k -movflags +faststart",
        then: Then::Cut(600),
        fate: Fate::Plays { frames: None, sounds: 1 },
    },
    Film {
        name: "cut-index-last.mp4",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i \
             sine=frequency=440:sample_rate=48000 -t 4 -c:v libx264 -preset ultrafast \
             -pix_fmt yuv420p -c:a aac -b:a 96k",
        then: Then::Cut(600),
        fate: Fate::Refused("unreadable"),
    },
    Film {
        name: "cut-to-the-index.mp4",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=25 -t 4 -c:v libx264 -preset \
             ultrafast -pix_fmt yuv420p -movflags +faststart",
        then: Then::Cut(4),
        fate: Fate::Refused("truncated"),
    },
    Film { name: "empty.mp4", made_by: "", then: Then::Bytes(b""), fate: Fate::Refused("empty") },
    Film {
        name: "text.mp4",
        made_by: "",
        then: Then::Bytes(b"This is no film. It only says that it is one.\n"),
        fate: Fate::Refused("unreadable"),
    },
    Film {
        name: "noise.mp4",
        made_by: "",
        then: Then::Bytes(b"\0\0\0\x18ftypisom\0\0\0\0isommp42\xff\xfe\xfd\xfc\x80noise"),
        fate: Fate::Refused("unreadable"),
    },
    Film {
        name: "list.mp4",
        made_by: "",
        then: Then::Bytes(b"#EXTM3U\n#EXTINF:1,\nfile:plain.mp4\n#EXT-X-ENDLIST\n"),
        fate: Fate::Refused("unreadable"),
    },
    Film {
        name: "webm-inside.mp4",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i \
             sine=frequency=440:sample_rate=48000 -t 2 -c:v libvpx -b:v 500k -cpu-used \
             8 -deadline realtime -c:a libopus -f webm",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(50), sounds: 1 },
    },
    Film {
        name: "vp9.webm",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=25 -t 2 -c:v libvpx-vp9 -b:v 300k \
             -cpu-used 8 -deadline realtime",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(50), sounds: 0 },
    },
    Film {
        name: "clock-from-1.4.ts",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i \
             sine=frequency=440:sample_rate=48000 -t 3 -c:v libx264 -preset ultrafast \
             -pix_fmt yuv420p -c:a aac -b:a 96k",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(75), sounds: 1 },
    },
    Film {
        name: "mpeg4.avi",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i \
             sine=frequency=440:sample_rate=48000 -t 2 -c:v mpeg4 -bf 2 -b:v 500k -c:a \
             libmp3lame",
        then: Then::Nothing,
        // Nothing in it says that pictures out of order make the first one late.
        fate: Fate::Plays { frames: None, sounds: 1 },
    },
    Film {
        name: "flash.flv",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i \
             sine=frequency=440:sample_rate=48000 -t 2 -c:v libx264 -preset ultrafast \
             -pix_fmt yuv420p -c:a aac -b:a 96k",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(50), sounds: 1 },
    },
    Film {
        name: "song.mp3",
        made_by: "-f lavfi -i sine=frequency=440:sample_rate=48000 -t 3 -c:a libmp3lame",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(0), sounds: 1 },
    },
    Film {
        name: "song.flac",
        made_by: "-f lavfi -i sine=frequency=440:sample_rate=48000 -t 3",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(0), sounds: 1 },
    },
    Film {
        name: "song-44100.wav",
        made_by: "-f lavfi -i sine=frequency=440:sample_rate=44100 -t 3",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(0), sounds: 1 },
    },
    Film {
        name: "song-with-cover.mp3",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i \
             sine=frequency=440:sample_rate=48000 -map 1 -map 0 -frames:v 1 -t 3 -c:a \
             libmp3lame -c:v mjpeg -pix_fmt yuvj420p -disposition:v attached_pic",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(0), sounds: 1 },
    },
    Film {
        name: "fragmented.mp4",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i \
             sine=frequency=440:sample_rate=48000 -t 3 -c:v libx264 -preset ultrafast \
             -pix_fmt yuv420p -c:a aac -b:a 96k -movflags +frag_keyframe+empty_moov",
        then: Then::Nothing,
        // Its muxer shows the first picture for longer, because its sound begins before.
        fate: Fate::Plays { frames: None, sounds: 1 },
    },
    Film {
        name: "edited.mp4",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i \
             sine=frequency=440:sample_rate=48000 -t 4 -c:v libx264 -preset ultrafast \
             -pix_fmt yuv420p -g 50 -c:a aac -b:a 96k",
        then: Then::Again("-ss 1 -i INPUT -c copy"),
        fate: Fate::Plays { frames: None, sounds: 1 },
    },
    Film {
        name: "open-groups.mkv",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=25 -t 4 -c:v libx264 -preset \
             veryfast -pix_fmt yuv420p -x264-params \
             open-gop=1:b-pyramid=normal:keyint=25",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(100), sounds: 0 },
    },
    Film {
        name: "one-group.mp4",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i \
             sine=frequency=440:sample_rate=48000 -t 12 -c:v libx264 -preset ultrafast \
             -pix_fmt yuv420p -g 1000 -sc_threshold 0 -c:a aac -b:a 96k",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(300), sounds: 1 },
    },
    Film {
        name: "ten-bits.mkv",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=25 -t 2 -c:v libx264 -preset \
             ultrafast -pix_fmt yuv422p10le",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(50), sounds: 0 },
    },
    Film {
        name: "moving.gif",
        made_by: "-f lavfi -i testsrc2=size=160x90:rate=10 -t 2",
        then: Then::Nothing,
        fate: Fate::Plays { frames: Some(20), sounds: 0 },
    },
    Film {
        name: "picture.png",
        made_by: "-f lavfi -i testsrc2=size=320x180:rate=25 -frames:v 1",
        then: Then::Nothing,
        fate: Fate::Refused("no-media-streams"),
    },
    Film {
        name: "words.srt",
        made_by: "",
        then: Then::Bytes(b"1\n00:00:00,000 --> 00:00:02,000\nNothing moves.\n"),
        fate: Fate::Refused("no-media-streams"),
    },
];
