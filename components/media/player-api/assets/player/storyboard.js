// Which picture shows which moment: WebVTT cues whose text is a picture's address with `#xywh`.

const instant = (text) => text.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);

class Storyboard {
  #cues = [];

  constructor(playback) {
    this.playback = playback;
  }

  async load() {
    if (!this.playback.said.sprite) return;
    const answer = await fetch(this.playback.said.sprite).catch(() => null);
    if (!answer?.ok) return;
    for (const block of (await answer.text()).split(/\n\n+/)) {
      const [times, picture] = block.trim().split("\n");
      const [from, to] = (times ?? "").split(" --> ");
      const [url, place] = (picture ?? "").split("#xywh=");
      if (!to || !place) continue;
      const [x, y, width, height] = place.split(",").map(Number);
      this.#cues.push({ from: instant(from), to: instant(to), url, x, y, width, height });
    }
  }

  // Shows the picture of a moment in `frame`; false where there is none.
  show(frame, seconds) {
    const cue = this.#cues.find((it) => seconds >= it.from && seconds < it.to) ?? this.#cues.at(-1);
    if (!cue) return false;
    Object.assign(frame.style, {
      width: `${cue.width}px`,
      height: `${cue.height}px`,
      backgroundImage: `url("${this.playback.address(cue.url)}")`,
      backgroundPosition: `-${cue.x}px -${cue.y}px`,
    });
    return true;
  }
}

