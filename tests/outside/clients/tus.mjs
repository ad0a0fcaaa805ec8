// Uploads a file by tus-js-client and goes on, whatever happens to the line or the host, as a page
// does. Prints one JSON line: where the upload is, and how large.
//
// The upload is made beforehand and given by `uploadUrl`: with an `endpoint` this client takes any
// answer to HEAD that is no 2xx, also the 503 of a host that starts, for a reason to begin anew.
import { createReadStream, statSync } from "node:fs";
import * as tus from "tus-js-client";

const { NEXUS_URL, NEXUS_TOKEN, TUS_FILE } = process.env;

const size = statSync(TUS_FILE).size;
const headers = { authorization: `Bearer ${NEXUS_TOKEN}` };
const filename = Buffer.from("a film.mp4").toString("base64");
const made = await fetch(`${NEXUS_URL}/files`, {
  method: "POST",
  headers: {
    ...headers,
    "tus-resumable": "1.0.0",
    "upload-length": String(size),
    "upload-metadata": `filename ${filename}`,
  },
});
if (made.status !== 201) throw new Error(`not made: ${made.status} ${await made.text()}`);

const upload = new tus.Upload(createReadStream(TUS_FILE), {
  uploadUrl: new URL(made.headers.get("location"), NEXUS_URL).href,
  headers,
  uploadSize: size,
  // A host that starts again takes a while, on a busy machine.
  retryDelays: [100, 200, 400, ...Array(600).fill(500)],
  onError: (error) => {
    console.error(String(error));
    process.exit(1);
  },
  onSuccess: () => {
    console.log(JSON.stringify({ url: upload.url, size }));
    process.exit(0);
  },
});
upload.start();
