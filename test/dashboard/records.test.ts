// One transaction and one account in the dashboard, in a real Chromium on a whole running system: what they show, what is
// checked in the browser, and what is taken home.

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findingsOf, OUTPUT, TestDesk, until } from "./desk.ts";
import { type FindRow, finderIn, type Row } from "./pages.ts";

let desk: TestDesk;
let rows: readonly Row[];

beforeAll(async () => {
  desk = await TestDesk.start();
  rows = (await desk.ask<{ transactions: Row[] }>("/audit/v1/transactions?limit=1000")).transactions;
}, 120_000);
afterAll(() => desk.stop());

const rowWhere: FindRow = (holds) => finderIn(rows)(holds);

describe("a transaction", () => {
  test("is verified in this browser with a pinned key, and not with another's", async () => {
    const page = await desk.visitor();
    const { txn } = rowWhere(({ action, resourceType }) => action === "create" && resourceType === "User");
    await desk.open(page, `/transactions/main/${txn}`, ".key-form");
    const key = page.getByLabel(/The ledger’s public key/);
    await key.fill(desk.vkey);
    await page.getByRole("button", { name: "Pin and verify" }).click();
    await page.getByText("Verified with your pinned key").waitFor();
    expect(await page.locator(".steps .good").count()).toBe(12);
    await page.setViewportSize({ width: 1440, height: 1440 });
    await page.screenshot({ path: `${OUTPUT}verified.png` });
    await page.reload();
    await page.getByRole("button", { name: "Verify with the pinned key" }).click();
    await page.getByText("Verified with your pinned key").waitFor();
    await page.getByRole("button", { name: "Change the key" }).click();
    await key.fill(desk.vkey.replace(/\+.*$/, ""));
    await page.getByRole("button", { name: "Pin and verify" }).click();
    await page.getByText(/no verifier key/).waitFor();
    await page.getByRole("button", { name: "Use the server’s own key" }).click();
    await page.getByText("proof of nothing about the server").waitFor();
  });

  test("says where the key to pin is kept, which this page cannot know", async () => {
    const page = await desk.visitor();
    const { txn } = rowWhere(({ action, resourceType }) => action === "create" && resourceType === "User");
    await desk.open(page, `/transactions/main/${txn}`, ".key-form");
    await page.locator(".key-form code", { hasText: "keys/main.genesis.pub.jwk" }).waitFor();
  });

  test("that was refused is asked for and not done, in its head, its contents and in lists", async () => {
    const page = await desk.visitor();
    await desk.create("twice@example.com");
    const schemas = ["urn:ietf:params:scim:schemas:core:2.0:User"];
    const body = JSON.stringify({
      schemas,
      userName: "twice@example.com",
      active: true,
      password: "Se-cret-9",
    });
    const answer = await desk.system.request("POST", "/Users", { body });
    expect(answer.status).toBe(409);
    await desk.settled();
    const { transactions } = await desk.ask<{ transactions: Row[] }>("/audit/v1/transactions?limit=2");
    const [refused, done] = transactions;
    await desk.open(page, `/transactions/main/${refused?.txn}`, ".asked");
    await page.locator(".txn-head", { hasText: "Asked for, not done" }).waitFor();
    await page.getByRole("tab", { name: "Asked for" }).waitFor();
    await page.getByText("The target refused it with 409.").waitFor();
    expect(await page.locator(".asked.not-done").count()).toBe(1);
    expect(await page.locator(".entry-card dt", { hasText: "Effects" }).count()).toBe(0);
    expect(await page.locator(".effect.refused").count()).toBeGreaterThan(0);
    expect(await findingsOf(page)).toEqual([]);
    await page.screenshot({ path: `${OUTPUT}refused.png`, fullPage: true });
    await desk.open(page, `/transactions/main/${done?.txn}`, ".tab-panel .diff");
    await page.getByRole("tab", { name: "Changes" }).waitFor();
    expect(await page.locator(".undone, .undone-note, .not-done").count()).toBe(0);
    await desk.open(page, "/activity", ".txns .row-link");
    const [first, second] = await page.locator(".txns .grid-body .action").all();
    expect(await first?.getAttribute("class")).toBe("action refused");
    expect(await second?.getAttribute("class")).toBe("action good");
    expect(await findingsOf(page)).toEqual([]);
  });

  test("of many operations says how many were not done, and shows no effect that did not come to be", async () => {
    const page = await desk.visitor();
    const { txn } = rowWhere(({ action }) => action === "bulk");
    await desk.open(page, `/transactions/main/${txn}`, ".tab-panel .plain");
    const head = page.locator(".txn-head h2");
    expect(await head.locator(".undone").textContent()).toBe("1 of 4 not done");
    expect(await head.locator(".effect.refused").allTextContents()).toEqual(["delete"]);
    expect(await head.locator(".effect:not(.refused)").allTextContents()).toEqual([
      "create",
      "members +",
      "password",
    ]);
    expect(await page.locator(".tab-panel .action.refused").allTextContents()).toEqual(["delete"]);
    expect(await page.locator(".entry-card dt", { hasText: "Asked for" }).count()).toBe(1);
  });

  test("of many operations is listed by what became of them, and not by what was asked for", async () => {
    const page = await desk.visitor();
    await desk.open(page, `/activity?filter=${encodeURIComponent('action eq "bulk"')}`, ".txns .row-link");
    const row = page.locator(".txns .grid-body .grid-row").first();
    expect(await row.locator(".undone.refused").textContent()).toBe("1 of 4 not done");
    expect(await row.locator(".badge").getAttribute("class")).toBe("badge wait");
    expect(await row.locator(".effect:not(.more)").allTextContents()).toEqual(["create", "members +"]);
    expect(await row.locator(".effect.more").getAttribute("title")).toBe(
      "password; delete, asked for, not done",
    );
  });

  test("of many operations names what each is about beside its id, and leads to that connector's account", async () => {
    const ada = await desk.create("ada.in.bulk@example.com");
    const bulk = JSON.stringify({
      schemas: ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
      Operations: [
        {
          method: "PATCH",
          path: `/Users/${ada}`,
          data: { Operations: [{ op: "replace", path: "active", value: false }] },
        },
        { method: "DELETE", path: "/Users/never-there" },
        {
          method: "POST",
          path: "/Groups",
          bulkId: "crew",
          data: {
            schemas: ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            displayName: "Crew in bulk",
            members: [{ value: ada }],
          },
        },
      ],
    });
    expect((await desk.system.request("POST", "/Bulk", { body: bulk })).status).toBe(200);
    // Another provider's turn at the same target: its account of this id is the one changed last.
    const url = `${desk.system.baseUrl.replace("/okta/", "/entra/")}/Users/${ada}`;
    const elsewhere = await fetch(url, {
      method: "DELETE",
      headers: { authorization: `Bearer ${desk.system.otherToken}` },
    });
    expect(elsewhere.status).toBe(204);
    await desk.settled();
    const query = new URLSearchParams({ filter: 'action eq "bulk"', limit: "1" });
    const { transactions } = await desk.ask<{ transactions: Row[] }>(`/audit/v1/transactions?${query}`);
    const page = await desk.visitor();
    await desk.open(page, `/transactions/main/${transactions[0]?.txn}`, ".tab-panel .object-value");
    const told = page.locator(".tab-panel .object-value");
    expect(await told.nth(0).textContent()).toBe(`ada.in.bulk@example.com${ada}`);
    expect(await told.nth(1).textContent()).toBe("never-there");
    expect(await told.nth(2).locator(".foreign").textContent()).toBe("Crew in bulk");
    expect(await findingsOf(page)).toEqual([]);
    await page.screenshot({ path: `${OUTPUT}bulk-names.png`, fullPage: true });
    await page.getByRole("link", { name: "Crew in bulk" }).click();
    await page.locator(".members").getByRole("link", { name: "ada.in.bulk@example.com" }).click();
    await page.getByRole("heading", { name: "User ada.in.bulk@example.com" }).waitFor();
    expect(await page.locator(".txn-head .fine").textContent()).toMatch(/okta · /);
    await page.getByRole("link", { name: "Crew in bulk" }).click();
    await page.getByRole("heading", { name: "Group Crew in bulk" }).waitFor();
    expect(new URL(page.url()).searchParams.get("connector")).toBe("okta");
    await page.goBack();
    await page.getByRole("link", { name: "In activity" }).click();
    await page.locator(".txns .row-link").first().waitFor();
    expect(new URL(page.url()).searchParams.get("filter")).toBe(
      `connector eq "okta" and resourceId eq "${ada}"`,
    );
  });

  test("of more operations than a leaf holds is shown by them all the same", async () => {
    const schemas = ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"];
    const operations = Array.from({ length: 250 }, (_, n) => ({
      method: "DELETE",
      path: `/Users/00000000-0000-4000-8000-${String(n).padStart(12, "0")}`,
    }));
    const body = JSON.stringify({ schemas, Operations: operations });
    const answer = await desk.system.request("POST", "/Bulk", { body });
    expect(answer.status).toBe(200);
    await desk.settled();
    const { transactions } = await desk.ask<{ transactions: Row[] }>("/audit/v1/transactions?limit=1");
    const page = await desk.visitor();
    await desk.open(page, `/transactions/main/${transactions[0]?.txn}`, ".tab-panel .plain");
    expect(await page.locator(".txn-head .undone").textContent()).toBe("250 of 250 not done");
    expect(await page.locator(".txn-head .effect:not(.refused)").count()).toBe(0);
    expect(await page.locator(".tab-panel .action.refused").count()).toBe(250);
  });

  test("and a timeline name the members beside their ids", async () => {
    const ada = await desk.create("ada.member@example.com");
    const schemas = ["urn:ietf:params:scim:schemas:core:2.0:Group"];
    const body = JSON.stringify({ schemas, displayName: "Named", members: [{ value: ada }] });
    const made = await desk.system.request("POST", "/Groups", { body });
    const { id } = (await made.json()) as { id: string };
    const Operations = [{ op: "remove", path: `members[value eq "${ada}"]` }];
    const patch = JSON.stringify({ schemas: ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], Operations });
    await desk.system.request("PATCH", `/Groups/${id}`, { body: patch });
    await desk.settled();
    const { transactions } = await desk.ask<{ transactions: Row[] }>("/audit/v1/transactions?limit=2");
    const page = await desk.visitor();
    await desk.open(page, `/accounts/Group/${id}`, ".timeline .item-changes");
    for (const sign of ["added", "removed"]) {
      const item = page.locator(`.timeline .item-changes .${sign}`);
      expect(await item.locator(".foreign").first().textContent()).toBe("ada.member@example.com");
      expect(await item.locator("code").first().textContent()).toBe(ada);
    }
    await desk.open(page, `/transactions/main/${transactions[1]?.txn}`, ".tab-panel .item-changes");
    const asked = page.locator(".asked tr", { hasText: "members" });
    await page.getByText("What the request asked for").click();
    for (const place of [page.locator(".tab-panel .item-changes"), asked])
      expect(await place.textContent()).toContain("ada.member@example.com");
    expect(await findingsOf(page)).toEqual([]);
  });

  test("a leaf that was changed on the way is found out", async () => {
    const page = await desk.visitor();
    const { txn } = rowWhere(({ action, resourceType }) => action === "create" && resourceType === "Group");
    await page.route(/\/transactions\/[^/]+\?include/, async (route) => {
      const response = await route.fetch();
      const text = (await response.text()).replace(
        /"leaf":"([^".]+)\.([^".]+)\.(.)/,
        (_, header, payload, first) => `"leaf":"${header}.${payload}.${first === "A" ? "B" : "A"}`,
      );
      await route.fulfill({ response, body: text });
    });
    await desk.open(page, `/transactions/main/${txn}`, ".key-form");
    await page.getByLabel(/The ledger’s public key/).fill(desk.vkey);
    await page.getByRole("button", { name: "Pin and verify" }).click();
    await page.getByText("Do not believe this record").waitFor();
    expect(await findingsOf(page)).toEqual([]);
  });

  test("contents that were kept back are said to be unchecked; the head says what the leaves say", async () => {
    const page = await desk.visitor();
    const { txn } = rowWhere(({ action, resourceType }) => action === "create" && resourceType === "Group");
    // What the owner of the database can do: change the index, and delete or hide contents.
    await page.route(/\/transactions\/[^/]+\?include/, async (route) => {
      const response = await route.fetch();
      const given = (await response.json()) as {
        request: { attachments: { name: string; content?: string }[] };
      };
      for (const one of given.request.attachments) if (one.name === "body") delete one.content;
      await route.fulfill({ response, json: given });
    });
    await page.route(/\/transactions\?/, async (route) => {
      const response = await route.fetch();
      const json = JSON.parse(
        (await response.text()).replaceAll('"connector":"okta"', '"connector":"forged"'),
      );
      for (const row of json.transactions) row.client = "forged-client";
      await route.fulfill({ response, json });
    });
    await desk.open(page, `/transactions/main/${txn}`, ".key-form");
    await page.locator(".txn-head .fine").first().waitFor();
    expect(await page.locator(".txn-head").textContent()).not.toContain("forged");
    await page.getByLabel(/The ledger’s public key/).fill(desk.vkey);
    await page.getByRole("button", { name: "Pin and verify" }).click();
    await page.getByText("Leaf verified; contents not checked").waitFor();
    expect(await page.locator(".verdict").getAttribute("class")).toContain("wait");
    expect(await findingsOf(page)).toEqual([]);
  });

  test("says in plain words that searches may miss it, where the index has not all its names", async () => {
    const page = await desk.visitor();
    const { txn } = rowWhere(({ action, resourceType }) => action === "create" && resourceType === "User");
    await desk.open(page, `/transactions/main/${txn}`, ".key-form");
    const note = page.getByText("Searches may miss this transaction by some of its names");
    expect(await note.count()).toBe(0);
    await page.route(/\/transactions\?/, async (route) => {
      const response = await route.fetch();
      const body = (await response.text()).replaceAll('"isCut":false', '"isCut":true');
      await route.fulfill({ response, body });
    });
    await page.reload();
    await note.waitFor();
    expect(await findingsOf(page)).toEqual([]);
  });

  test("bodies with what was redacted, the leaf with its proof, and a pack to take home", async () => {
    const page = await desk.visitor();
    const { txn } = rowWhere(({ effects, action }) => action === "create" && effects.includes("password"));
    await desk.open(page, `/transactions/main/${txn}`, ".tab-panel .diff");
    await page.getByRole("tab", { name: "Request body" }).click();
    await page.locator("pre mark.redacted").waitFor();
    await page.keyboard.press("End");
    await page.locator(".proof-path").waitFor();
    expect(await findingsOf(page)).toEqual([]);
    await page.screenshot({ path: `${OUTPUT}proof.png`, fullPage: true });
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("link", { name: "Evidence pack" }).click(),
    ]);
    expect(
      readFileSync(await download.path())
        .subarray(257, 262)
        .toString(),
    ).toBe("ustar");
  });
});

test("events of the ledger are told in words", async () => {
  const page = await desk.visitor();
  await desk.open(page, "/ledger", ".panel[aria-labelledby=events] td");
  const events = page.locator(".panel[aria-labelledby=events] tbody");
  expect(await events.textContent()).toContain("the first key is");
  expect(await events.textContent()).not.toMatch(/[{}"[\]]/);
});

test("accounts are found by words and by a filter", async () => {
  const page = await desk.visitor();
  await desk.open(page, "/accounts", ".accounts .row-link");
  const all = await page.locator(".accounts .row-link").count();
  const search = page.getByLabel("Search accounts and groups");
  const groups = rows.filter(({ action, resourceType }) => action === "create" && resourceType === "Group");
  await search.fill('resourceType eq "Group"');
  await page.keyboard.press("Enter");
  await until(async () => (await page.locator(".accounts .row-link").count()) < all);
  expect(await page.locator(".accounts .type").allTextContents()).not.toContain("User");
  const name = groups[0]?.name ?? "";
  await search.fill(name);
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name, exact: true }).click();
  await page.getByRole("heading", { name: `Group ${name}` }).waitFor();
});

test("an account's evidence is asked for by the id that stands in the leaves", async () => {
  const page = await desk.visitor();
  const { resourceId } = rowWhere(
    ({ action, resourceType }) => action === "create" && resourceType === "User",
  );
  await page.route(/\/audit\/v1\/accounts\/User\//, async (route) => {
    const response = await route.fetch();
    const json = (await response.json()) as { account: { recordedId: string } };
    expect(json.account.recordedId).toBe(resourceId);
    json.account.recordedId = "t:recorded";
    await route.fulfill({ response, json });
  });
  await desk.open(page, `/accounts/User/${resourceId}?connector=okta`, ".state");
  const href = await page.getByRole("link", { name: "Evidence pack" }).getAttribute("href");
  expect(new URL(href ?? "", "http://x").searchParams.get("account")).toBe("User/t:recorded");
});

test("an account's state at a time, by the slider", async () => {
  const page = await desk.visitor();
  const id = await desk.create("slider@example.com", { displayName: "Before" });
  const body = JSON.stringify({
    schemas: ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
    Operations: [{ op: "replace", value: { displayName: "After", active: false } }],
  });
  expect((await desk.system.request("PATCH", `/Users/${id}`, { body })).status).toBe(200);
  await desk.settled();
  await desk.open(page, `/accounts/User/${id}?connector=okta`, ".state");
  const state = page.locator(".state");
  expect(await state.textContent()).toContain("After");
  await page.getByLabel("State after change").focus();
  await page.keyboard.press("ArrowLeft");
  await until(async () => (await state.textContent())?.includes("Before") ?? false);
  expect(new URL(page.url()).searchParams.get("at")).toMatch(/^seq:\d+$/);
  await page.reload();
  await until(async () => (await state.textContent())?.includes("Before") ?? false);
});

test("before its create an account did not exist, and no change is called the one before", async () => {
  const page = await desk.visitor();
  const { resourceId, seq } = rowWhere(
    ({ action, resourceType, effects }) =>
      action === "create" && resourceType === "User" && !effects.includes("password"),
  );
  for (const at of [`seq:${seq - 1}`, "2001-01-01T00:00:00Z"]) {
    await desk.open(page, `/accounts/User/${resourceId}?at=${at}`, ".slider-words");
    await page.getByText("It did not exist at this time").waitFor();
    expect(await page.locator(".slider-words").textContent()).toMatch(
      /^Before the first of \d+ changes?Back to now$/,
    );
    expect(await page.locator(".unknown").count()).toBe(0);
  }
  expect(await findingsOf(page)).toEqual([]);
});
