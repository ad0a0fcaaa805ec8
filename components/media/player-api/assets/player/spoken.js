// Times, sizes and troubles as people say them.

const clock = (seconds) => {
  const whole = Math.max(0, Math.floor(seconds || 0));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
};

const spokenTime = (seconds) => {
  const whole = Math.max(0, Math.floor(seconds || 0));
  const parts = [[Math.floor(whole / 3600), "hour"], [Math.floor(whole / 60) % 60, "minute"], [whole % 60, "second"]];
  const said = parts.filter(([n]) => n).map(([n, word]) => `${n} ${word}${n === 1 ? "" : "s"}`);
  return said.join(" ") || "0 seconds";
};

const languageName = (tag) => {
  try {
    const name = new Intl.DisplayNames([tag, "en"], { type: "language" }).of(tag);
    return name[0].toLocaleUpperCase() + name.slice(1);
  } catch {
    return tag;
  }
};

// A trouble has a word, which beacons tell, and what the viewer reads and can do. `again` begins
// anew where it was; `wait` asks again by itself after so many milliseconds.
class Trouble extends Error {
  constructor(code, detail = "") {
    super(detail || code);
    this.code = code;
  }
}

const TROUBLES = {
  "unauthenticated": { title: "Please sign in", words: "Sign in to watch this. You come back right here.", way: "sign-in" },
  "not-found": { title: "This is not available", words: "It may have been taken back, or it is not shown where you are.", way: "leave" },
  "not-playable": { title: "Almost ready", words: "This is still being prepared. It begins by itself as soon as it can be played.", wait: 3000, way: "leave" },
  "protection-pending": { title: "Almost ready", words: "This is just being protected. It begins by itself in a moment.", wait: 1500, way: "leave" },
  "too-many-sessions": { title: "You are watching elsewhere", words: "As many players run as your plan allows. Stop one of them, then try again.", way: "again" },
  "replaced": { title: "You went on somewhere else", words: "Another of your players has taken this one's place.", way: "again", label: "Watch here" },
  "unpublished": { title: "This was taken back", words: "Its owner does not show it any more.", way: "leave" },
  "deleted": { title: "This is gone", words: "Its owner has removed it.", way: "leave" },
  "erased": { title: "This playback is over", words: "The account that it belonged to is gone.", way: "leave" },
  "too-often": { title: "That was too often", words: "Please wait a minute, then try again.", way: "again" },
  "network": { title: "The connection is gone", words: "We try again by ourselves. What you have seen is remembered.", wait: 4000, way: "again" },
  "away": { title: "Back in a moment", words: "The platform does not answer. We try again by ourselves.", wait: 4000, way: "again" },
  "licence": { title: "No licence for this", words: "This film is protected, and its key was refused or does not fit. Trying again asks for another.", way: "again" },
  "media": { title: "This cannot be shown", words: "Your browser could not decode the film, in neither of the two ways that we have.", way: "again" },
  "unsupported": { title: "Your browser is too old for this", words: "It knows neither Media Source Extensions nor HLS. A current browser does.", way: "leave" },
};

const troubleOf = (code) => TROUBLES[code] ?? { title: "Something went wrong", words: "That is our fault. Trying again often helps.", way: "again" };

