// What scimseal is compared with: express and http-proxy-middleware and nothing else. Own process; argument: the
// target's URL; prints its own when ready.

import http from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import { createProxyMiddleware } from "http-proxy-middleware";

const app = express();
app.use(
  "/okta/scim/v2",
  createProxyMiddleware({
    target: process.argv[2] ?? "",
    changeOrigin: true,
    agent: new http.Agent({ keepAlive: true, maxSockets: 256 }),
  }),
);
const server = http.createServer(app);
server.keepAliveTimeout = 120_000;
server.listen(0, "127.0.0.1", () => {
  console.log(
    JSON.stringify({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/okta/scim/v2` }),
  );
});
