// The light target of the benchmark: answers every write at once with a fixed 201, so that what is measured is the
// proxy and not the target. Own process; prints its URL when ready.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const ANSWER = Buffer.from(
  JSON.stringify({
    schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"],
    id: "2819c223-7f76-453a-919d-413861904646",
    userName: "bench@example.com",
    active: true,
    meta: {
      resourceType: "User",
      created: "2026-01-01T00:00:00Z",
      lastModified: "2026-01-01T00:00:00Z",
      version: 'W/"1"',
    },
  }),
);

const server = createServer((request, response) => {
  request.resume();
  request.on("end", () => {
    response.writeHead(201, { "content-type": "application/scim+json", "content-length": ANSWER.length });
    response.end(ANSWER);
  });
});
server.keepAliveTimeout = 120_000;
server.listen(0, "127.0.0.1", () => {
  console.log(JSON.stringify({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/scim/v2` }));
});
