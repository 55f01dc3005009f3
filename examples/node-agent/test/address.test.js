import assert from "node:assert/strict";
import { test } from "node:test";

import { socketAddress } from "../src/address.js";

test("this machine is spoken to as it is, others encrypted", () => {
  assert.equal(socketAddress("http://localhost:8000/"), "ws://localhost:8000/agent/v1");
  assert.equal(socketAddress("http://127.0.0.2"), "ws://127.0.0.2/agent/v1");
  assert.equal(socketAddress("http://[::1]:8000"), "ws://[::1]:8000/agent/v1");
  assert.equal(socketAddress("https://switchgear.example.com/base/"), "wss://switchgear.example.com/base/agent/v1");
  assert.equal(socketAddress("http://switchgear.internal", true), "ws://switchgear.internal/agent/v1");
});

for (const url of ["http://switchgear.example.com", "ws://10.0.0.7:8000", "http://localhost.example.com"]) {
  test(`the token does not travel unencrypted to ${url}`, () => {
    assert.throws(() => socketAddress(url), /the token would travel unencrypted to another host/);
  });
}

for (const url of ["", "switchgear.example.com", "ftp://x", "https://user:secret@x", "https://x?y", "https://x#y"]) {
  test(`${JSON.stringify(url)} is refused`, () => {
    assert.throws(() => socketAddress(url), TypeError);
  });
}
