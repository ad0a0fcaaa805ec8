// Reads playlists by hls-parser, strictly: every playlist that a master names, too. Prints what it
// has found.
import * as HLS from "hls-parser";

HLS.setOptions({ strictMode: true });

const origin = process.env.NEXUS_URL;
const read = async (path) => {
  const answer = await fetch(new URL(path, origin));
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return HLS.parse(await answer.text());
};

const master = await read(process.env.HLS_MASTER);
const found = { variants: [], pictures: [], sound: [] };
for (const variant of master.variants) {
  const playlist = await read(variant.uri);
  const seconds = playlist.segments.reduce((sum, segment) => sum + segment.duration, 0);
  const { bandwidth, codecs, resolution } = variant;
  const kind = variant.isIFrameOnly ? found.pictures : found.variants;
  kind.push({ bandwidth, codecs, height: resolution?.height, seconds, ended: playlist.endlist });
  for (const sound of variant.audio ?? []) {
    const { segments } = await read(sound.uri);
    found.sound.push(segments.reduce((sum, segment) => sum + segment.duration, 0));
  }
}
console.log(JSON.stringify(found));
