// Webhooks over real sockets: signed as the specification says, tried again and in order, bounded, and sent nowhere but
// where the configuration says.

import { createHmac } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { createGuardedLookup } from "../../../src/config/address.ts";
import {
  parseWebhookSecret,
  signWebhook,
  Webhooks,
  type WebhookTarget,
} from "../../../src/monitor/alarm/webhook.ts";
import { createPost } from "../../../src/monitor/post.ts";
import { until } from "../../storage/writerHarness.ts";

const SECRET = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const NOW = 1_800_000_000_000;
const LEDGER = { name: "main", origin: "log.example.com/main", isBlocked: true };
const alarmOf = (seq: number, detail = "the signature does not match the leaf") => ({
  id: `id-${seq}`,
  code: "signature_invalid",
  seq,
  detail,
  raisedAt: new Date(NOW).toISOString(),
});

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Received {
  headers: IncomingMessage["headers"];
  body: string;
}

async function receiver(
  answer: (response: ServerResponse, count: number) => unknown = (response) => response.end(),
) {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    received.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
    answer(response, received.length);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { received, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook` }; // A TCP server's address is never a string.
}

function webhooksTo(
  targets: (Partial<WebhookTarget> & { url: string })[],
  more: { retryAfterMs?: number[]; maxWaiting?: number } = {},
) {
  const warnings: { reason?: string; message: string }[] = [];
  const post = createPost();
  const webhooks = new Webhooks({
    targets: targets.map((target) => ({ secret: SECRET, format: "standard", ...target })),
    post,
    now: () => NOW,
    log: { warn: (fields, message) => warnings.push({ ...fields, message }) },
    retryAfterMs: [10, 20, 30],
    ...more,
  });
  closers.push(() => {
    webhooks.stop();
    post.close();
  });
  return { webhooks, warnings };
}

test("the specification's own vector", () => {
  const secret = parseWebhookSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") ?? new Uint8Array();
  expect(signWebhook(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, '{"test": 2432232314}')).toBe(
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  );
});

test("a signed body with everything that is known", async () => {
  const { received, url } = await receiver();
  webhooksTo([{ url }]).webhooks.raise(alarmOf(5), LEDGER);
  await until(() => received.length > 0, "received");
  const [{ headers, body } = { headers: {}, body: "" }] = received;
  expect(headers).toMatchObject({
    "content-type": "application/json",
    "webhook-id": "msg_id-5",
    "webhook-timestamp": String(NOW / 1000),
  });
  const mac = createHmac("sha256", Buffer.alloc(32, 7))
    .update(`msg_id-5.${NOW / 1000}.${body}`)
    .digest("base64");
  expect(headers["webhook-signature"]).toBe(`v1,${mac}`);
  expect(JSON.parse(body)).toEqual({
    type: "scimseal.alarm.raised",
    timestamp: "2027-01-15T08:00:00.000Z",
    data: {
      ledger: "main",
      origin: "log.example.com/main",
      blocked: true,
      alarm: "id-5",
      code: "signature_invalid",
      seq: 5,
      detail: "the signature does not match the leaf",
    },
  });
});

test("Slack's body: a text in which nobody can put a link or a mention", async () => {
  const { received, url } = await receiver();
  webhooksTo([{ url, format: "slack" }]).webhooks.raise(
    alarmOf(5, "<!channel> & <https://evil.example|here>"),
    LEDGER,
  );
  await until(() => received.length > 0, "received");
  const { text, ...rest } = JSON.parse(received[0]?.body ?? "{}") as { text: string };
  expect(rest).toEqual({});
  expect(text).toContain("signature_invalid at entry 5");
  expect(text).toContain("&lt;!channel&gt; &amp; &lt;https://evil.example|here&gt;");
  expect(text).toContain("scimseal doctor --acknowledge");
});

test("tried again under the same id, in order, until it is taken; each receiver for itself", async () => {
  const bad = await receiver((response, count) => response.writeHead(count < 3 ? 500 : 204).end());
  const good = await receiver();
  const { webhooks, warnings } = webhooksTo([{ url: bad.url }, { url: good.url }]);
  webhooks.raise(alarmOf(1), LEDGER);
  webhooks.raise(alarmOf(2), LEDGER);
  await until(() => bad.received.length >= 4 && good.received.length >= 2, "both delivered");
  const ids = ({ received }: typeof bad) => received.map(({ headers }) => headers["webhook-id"]);
  expect(ids(bad)).toEqual(["msg_id-1", "msg_id-1", "msg_id-1", "msg_id-2"]);
  expect(ids(good)).toEqual(["msg_id-1", "msg_id-2"]);
  expect(warnings).toEqual([expect.objectContaining({ webhook: 1, reason: "status 500" })]);
});

test("after the last try the message is dropped, the log says so, and the next one is sent", async () => {
  const { received, url } = await receiver((response, count) =>
    response.writeHead(count <= 4 ? 503 : 200).end(),
  );
  const { webhooks, warnings } = webhooksTo([{ url }]);
  webhooks.raise(alarmOf(1), LEDGER);
  webhooks.raise(alarmOf(2), LEDGER);
  await until(() => received.length === 5, "five tries");
  expect(received.map(({ headers }) => headers["webhook-id"])).toEqual([
    ...Array(4).fill("msg_id-1"),
    "msg_id-2",
  ]);
  expect(warnings.map(({ message }) => message)).toEqual([
    "webhook not delivered; it is tried again",
    "webhook message dropped after the last try",
  ]);
});

test("redirects are not followed", async () => {
  const elsewhere = await receiver();
  const { received, url } = await receiver((response) =>
    response.writeHead(307, { location: elsewhere.url }).end(),
  );
  webhooksTo([{ url }], { retryAfterMs: [10] }).webhooks.raise(alarmOf(1), LEDGER);
  await until(() => received.length === 2, "tried twice");
  await sleep(50);
  expect(elsewhere.received).toEqual([]);
});

test("a receiver that is gone gets nothing more", async () => {
  const { received, url } = await receiver((response) => response.writeHead(410).end());
  const { webhooks, warnings } = webhooksTo([{ url }]);
  for (let i = 0; i < 3; i++) webhooks.raise(alarmOf(i), LEDGER);
  await until(() => warnings.length > 0, "a warning");
  webhooks.raise(alarmOf(9), LEDGER);
  await sleep(80);
  expect(received).toHaveLength(1);
});

test("what waits is bounded", async () => {
  const { received, url } = await receiver((response) => response.writeHead(500).end());
  const { webhooks, warnings } = webhooksTo([{ url }], { maxWaiting: 3, retryAfterMs: [60_000] });
  for (let i = 0; i < 10; i++) webhooks.raise(alarmOf(i), LEDGER);
  await until(() => received.length === 1, "one try");
  expect(warnings.filter(({ reason }) => reason === "too many wait")).toHaveLength(7);
});

test.each(["http://169.254.169.254/latest", "http://[::ffff:a9fe:a9fe]/", "http://2852039166/"])(
  "an address that nobody may call is not called: %s",
  async (url) => {
    const { webhooks, warnings } = webhooksTo([{ url }], { retryAfterMs: [] });
    webhooks.raise(alarmOf(1), LEDGER);
    await until(() => warnings.length > 0, "a warning");
    expect(warnings[0]?.reason).toBe("ETARGETREFUSED");
    expect(JSON.stringify(warnings)).not.toContain("169.254");
  },
);

test("nor a name that resolves to one", async () => {
  const lookup = createGuardedLookup((_name, _options, callback) =>
    callback(null, [{ address: "169.254.169.254", family: 4 }]),
  );
  const post = createPost(lookup);
  closers.push(() => post.close());
  const request = { headers: {}, body: "", timeoutMs: 1_000, maxAnswerBytes: 10 };
  await expect(post({ ...request, url: "http://metadata.example/" })).rejects.toMatchObject({
    code: "ETARGETREFUSED",
  });
  await expect(post({ ...request, url: "file:///etc/passwd" })).rejects.toThrow("neither http: nor https:");
});

test.each([
  ["too short", "whsec_AAAA"],
  ["no base64", `whsec_${"!".repeat(44)}`],
  ["too long", Buffer.alloc(65).toString("base64")],
  ["empty", ""],
])("a secret that is %s is refused, and not repeated", (_, secret) => {
  const make = () => webhooksTo([{ url: "http://127.0.0.1:9/", secret }]);
  expect(make).toThrow(/webhook 1 is not whsec_/);
  if (secret !== "") expect(make).not.toThrow(secret);
});
