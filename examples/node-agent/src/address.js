import { isIP } from "node:net";

const SCHEMES = { "http:": "ws:", "ws:": "ws:", "https:": "wss:", "wss:": "wss:" };

/** Whether a host name is this machine. @param {string} host */
function isLocal(host) {
  const bare = host.replace(/^\[|\]$/g, "");
  return bare === "localhost" || bare === "::1" || (isIP(bare) === 4 && bare.startsWith("127."));
}

/**
 * The address of the dashboard's socket for agents.
 *
 * Throws a TypeError where the address cannot be used, or where the token would travel unencrypted
 * to another host and `allowPlaintext` is not set.
 *
 * @param {string} url such as `wss://switchgear.example.com`
 * @param {boolean} [allowPlaintext]
 * @returns {string}
 */
export function socketAddress(url, allowPlaintext = false) {
  const wrong = (/** @type {string} */ why) => new TypeError(`url is ${JSON.stringify(url)}: ${why}`);
  if (!URL.canParse(url)) throw wrong("give the dashboard's address, such as wss://switchgear.example.com");
  const parts = new URL(url);
  const scheme = SCHEMES[/** @type {keyof typeof SCHEMES} */ (parts.protocol)];
  if (!scheme) throw wrong("its scheme must be one of https, wss, http, ws");
  if (parts.username || parts.password || parts.search || parts.hash) {
    throw wrong("it must hold neither user, password, query nor fragment");
  }
  if (scheme === "ws:" && !allowPlaintext && !isLocal(parts.hostname)) {
    throw wrong("the token would travel unencrypted to another host; use wss or https, or set allowPlaintext");
  }
  return `${scheme}//${parts.host}${parts.pathname.replace(/\/+$/, "")}/agent/v1`;
}
