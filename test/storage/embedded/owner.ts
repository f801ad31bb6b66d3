// A process of its own that owns an embedded PostgreSQL, for the tests that kill owners or run them under another user.
// Arguments: data directory, and optionally the user id to become before starting. Prints one line {urls, pid} of JSON when the
// server runs; stops when its standard input ends. A start that fails prints {error} and exits with 1.

import { startEmbedded } from "../../../src/storage/embedded/embedded.ts";

const [dataDir, uid] = process.argv.slice(2);
if (dataDir === undefined) throw new Error("usage: owner.ts DATADIR [UID]");
if (uid !== undefined) {
  process.setgroups?.([]);
  process.setgid?.(Number(uid));
  process.setuid?.(Number(uid));
}
const silent = { info: () => {}, warn: () => {}, error: () => {} };
try {
  const server = await startEmbedded({ dataDir, log: silent });
  console.log(JSON.stringify({ urls: server.urls, pid: server.pid() }));
  process.stdin.resume();
  process.stdin.on("end", () => server.stop());
} catch (error) {
  console.log(JSON.stringify({ error: error instanceof Error ? error.message : String(error) }));
  process.exitCode = 1;
}
