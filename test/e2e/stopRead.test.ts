// A stop while a read streams: its answer comes to its end, and the stop waits for it. A read that begins later is not
// waited for.

import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { until } from "../storage/writerHarness.ts";
import { startSystem } from "../support/system.ts";

test("a read that streams when the stop comes is not cut", async () => {
  const asked: ServerResponse[] = [];
  const target = createServer((_, response) => {
    response.writeHead(200, { "content-type": "application/scim+json" });
    response.write('{"Resources":[');
    asked.push(response);
  }).listen(0, "127.0.0.1");
  await once(target, "listening");
  onTestFinished(() => {
    target.closeAllConnections();
    target.close();
  });
  const system = await startSystem({
    targetUrl: `http://127.0.0.1:${(target.address() as AddressInfo).port}`,
  });
  const read = fetch(`${system.baseUrl}/Users`, { headers: { authorization: `Bearer ${system.token}` } });
  const text = read.then((answer) => answer.text());
  text.catch(() => {}); // Judged below.
  await until(() => asked.length > 0, "the target was asked");
  let isStopped = false;
  const stopped = system.stop().then(() => {
    isStopped = true;
  });
  await sleep(500);
  expect(isStopped).toBe(false);
  asked[0]?.end('],"totalResults":0}');
  expect(await text).toBe('{"Resources":[],"totalResults":0}');
  await stopped;
});
