// The peer on Node: the handlers of `tests/peers/src/twin`, as an Express program has them. One
// process, as a container of it would run: `node server.mjs <port> [<database's socket folder>]`.
import { randomUUID } from "node:crypto";
import { Readable } from "node:stream";
import express from "express";
import pg from "pg";

const [port, folder] = process.argv.slice(2);
const nobody = "00000000-0000-0000-0000-000000000000";
const app = express();
app.disable("x-powered-by");
app.use(express.json());

app.get("/hello", (_, response) => response.type("text/plain").send("hello"));
app.post("/echo", (request, response) => {
  const { name, email, age, tags } = request.body;
  response.json({ name, email, age, tags });
});
app.get("/stream", (_, response) => {
  const piece = Buffer.alloc(10 << 10, "x");
  Readable.from(Array.from({ length: 10 }, () => piece)).pipe(response);
});
app.get("/events", async (_, response) => {
  response.type("text/event-stream");
  for (let event = 0; event < 50; event += 1) {
    await new Promise(setImmediate);
    response.write(`data: {"event":${event}}\n\n`);
  }
  response.end();
});
// What another server says, asked over the network.
app.get("/chain", async (request, response) => {
  const said = await fetch(`http://${request.query.host}/hello`);
  response.type("text/plain").send(await said.text());
});

if (folder) {
  const pool = new pg.Pool({ host: folder, user: "nexus", database: "nexus", max: 16 });
  const show = "select id, title from twin.entry where tenant_id = $1 and id = $2";
  const insert = "insert into twin.entry (tenant_id, id, title) values ($1, $2, $3)";
  const tell = "insert into twin.event (id, topic, payload) values ($1, $2, $3)";
  app.get("/entries/:id", async (request, response) => {
    const values = [nobody, request.params.id];
    const { rows } = await pool.query({ name: "show", text: show, values });
    return rows.length ? response.json(rows[0]) : response.sendStatus(404);
  });
  app.post("/entries", async (request, response) => {
    const entry = { id: randomUUID(), title: request.body.title };
    const client = await pool.connect();
    try {
      await client.query("begin");
      const values = [nobody, entry.id, entry.title];
      await client.query({ name: "insert", text: insert, values });
      const event = [randomUUID(), "probe.measure.taken.v1", JSON.stringify(entry)];
      await client.query({ name: "tell", text: tell, values: event });
      await client.query("commit");
    } catch (error) {
      await client.query("rollback");
      throw error;
    } finally {
      client.release();
    }
    response.status(201).location(`/entries/${entry.id}`).json(entry);
  });
}

app.listen(Number(port), "127.0.0.1");
