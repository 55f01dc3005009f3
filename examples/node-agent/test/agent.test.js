import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";

import { WebSocketServer } from "ws";

import { Agent } from "../src/index.js";

test("what the dashboard has no capacity for is said once and nothing else happens", async (t) => {
  const server = new WebSocketServer({ port: 0 });
  await once(server, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  const said = /** @type {string[]} */ ([]);
  const agent = new Agent({ url: `http://127.0.0.1:${port}`, token: "t", service: "shop", log: (text) => said.push(text) });
  t.after(async () => {
    await agent.stop(0.01);
    server.close();
  });

  agent.start();
  const [socket] = await once(server, "connection");
  const desired = { type: "desired", revision: 1, interval_s: 60 };
  for (const names of [["user-1"], ["user-1"], ["user-1", "user-2"]]) {
    socket.send(JSON.stringify({ ...desired, over_capacity: names }));
  }
  while (agent.over_capacity.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(agent.over_capacity, ["user-1", "user-2"]);
  assert.equal(said.length, 1);
  assert.match(said[0], /no capacity for these breakers and does not count them: user-1$/);

  socket.send(JSON.stringify(desired));
  while (agent.over_capacity.length) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(said.length, 1);
});
