export { Agent } from "./agent.js";
export { Watched } from "./watched.js";
