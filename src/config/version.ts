// What this program calls itself: in evidence packs and reports.

import { readFileSync } from "node:fs";

const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

/** For example `scimseal 0.1.0`. */
export const PROGRAM = `scimseal ${manifest.version}`;
