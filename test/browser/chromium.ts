// A real Chromium for tests: the one inside the npm package, driven by playwright-core. It needs no network and no
// installation; where its package is missing the tests fail, since a page nobody opened is a page nobody tested.

import chromium from "@sparticuz/chromium";
import { type Browser, chromium as driver } from "playwright-core";

/** Starts it; the caller closes it. */
export async function startChromium(): Promise<Browser> {
  chromium.setGraphicsMode = false;
  return driver.launch({
    executablePath: await chromium.executablePath(),
    // The package's own flags are for one page in a function of a cloud: with them the first closed context ends all.
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
    headless: true,
    // Whatever the machine speaks: a page that sets no locale runs under this one, whose name is no language tag.
    env: { ...process.env, LANG: "C", LANGUAGE: "", LC_ALL: "C" },
  });
}
