// A small service whose calls go through opossum: GET /posts calls something that fails as often as
// the last GET /fail?share=0.5 said. Its breaker is on the dashboard's wall.

import { createServer } from "node:http";

import { Agent } from "./src/index.js";

const { SWITCHGEAR_URL, SWITCHGEAR_TOKEN, SWITCHGEAR_SERVICE, SWITCHGEAR_INSTANCE } = process.env;
const agent = new Agent({
  url: SWITCHGEAR_URL ?? "",
  token: SWITCHGEAR_TOKEN ?? "",
  service: SWITCHGEAR_SERVICE ?? "node-shop",
  instance: SWITCHGEAR_INSTANCE,
});

let share = 0;
const posts = agent.breaker(
  "posts",
  async () => {
    if (Math.random() < share) throw new Error("the dependency failed");
    return "posts";
  },
  { timeout: 1000, resetTimeout: 500, volumeThreshold: 5 },
);

const server = createServer(async (request, response) => {
  const url = new URL(request.url ?? "/", "http://localhost");
  if (url.pathname === "/fail") share = Number(url.searchParams.get("share"));
  const answer = { state: posts.state, opossum: posts.breaker.opened, result: "", error: "" };
  if (url.pathname === "/posts") {
    try {
      answer.result = await posts.fire();
    } catch (error) {
      answer.error = /** @type {any} */ (error).code ?? String(error);
    }
  }
  response.setHeader("Content-Type", "application/json");
  response.statusCode = answer.error ? 503 : 200;
  response.end(JSON.stringify(answer));
});

agent.start();
server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => {
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  console.log(`listening on http://127.0.0.1:${port}`);
});

process.on("SIGTERM", async () => {
  server.close();
  console.log((await agent.stop(8)) ? "everything is reported" : "the last report was not confirmed");
  process.exit();
});
