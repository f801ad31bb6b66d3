// The light target of the benchmark: answers every write at once with a user of fixed shape, a new id for a POST and the
// path's for all else, so that what is measured is the proxy and not the target. Own process; prints its URL when ready.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const ID = "2819c223-7f76-453a-919d-413861904646";
const [BEFORE = "", AFTER = ""] = JSON.stringify({
  schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"],
  id: ID,
  userName: "bench@example.com",
  active: true,
  meta: {
    resourceType: "User",
    created: "2026-01-01T00:00:00Z",
    lastModified: "2026-01-01T00:00:00Z",
    version: 'W/"1"',
  },
}).split(ID);
let created = 0;

const server = createServer((request, response) => {
  request.resume();
  request.on("end", () => {
    const isCreate = request.method === "POST";
    const id = isCreate
      ? `2819c223-7f76-453a-919d-${(++created).toString(16).padStart(12, "0")}`
      : request.url?.split("/").at(-1);
    const answer = Buffer.from(`${BEFORE}${id}${AFTER}`);
    response.writeHead(isCreate ? 201 : 200, {
      "content-type": "application/scim+json",
      "content-length": answer.length,
    });
    response.end(answer);
  });
});
server.keepAliveTimeout = 120_000;
server.listen(0, "127.0.0.1", () => {
  console.log(JSON.stringify({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/scim/v2` }));
});
