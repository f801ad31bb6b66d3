// A thread of the benchmark of verifying: node:crypto's own rate. For each message it gets it verifies for half a second,
// and answers with how many signatures that were.

import { generateKeyPairSync, sign, verify } from "node:crypto";
import { parentPort } from "node:worker_threads";

const MS = 500;
/** A leaf's size. */
const message = Buffer.alloc(900, 7);
const { privateKey, publicKey } = generateKeyPairSync("ed25519");
const signature = sign(null, message, privateKey);

parentPort?.on("message", () => {
  let count = 0;
  for (const until = performance.now() + MS; performance.now() < until; count++)
    verify(null, message, publicKey, signature);
  parentPort?.postMessage(count);
});
