// A person's line to a host: it can be slow upwards, break, and be mended. Knows bytes alone.

import { connect, createServer } from "node:net";

// How often a slow line lets some bytes through.
const TURN_MS = 50;

export class Line {
  #ends = new Set();
  #speed = Infinity;
  #isCut = false;

  static async open(port, hostPort) {
    const line = new Line();
    const server = createServer((near) => line.#join(near, hostPort));
    await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
    return line;
  }

  #join(near, hostPort) {
    if (this.#isCut) {
      near.destroy();
      return;
    }
    const far = connect(hostPort, "127.0.0.1");
    const ends = [near, far];
    for (const end of ends) {
      this.#ends.add(end);
      end.on("error", () => {});
      end.on("close", () => {
        this.#ends.delete(end);
        ends.forEach((other) => other.destroy());
      });
    }
    far.pipe(near);
    near.on("data", (bytes) => {
      far.write(bytes);
      if (this.#speed === Infinity) return;
      near.pause();
      setTimeout(() => near.resume(), Math.max(TURN_MS, (bytes.length / this.#speed) * 1000));
    });
    near.on("end", () => far.end());
  }

  // Bytes a second, upwards.
  slow(speed) {
    this.#speed = speed;
  }

  cut() {
    this.#isCut = true;
    this.#ends.forEach((end) => end.destroy());
  }

  mend() {
    this.#isCut = false;
  }
}
