// What a person is told to type must work in the way the program was started.

import { expect, test } from "vitest";
import { commandName } from "../../src/config/commandName.ts";

test("below npm, which a checkout is run by, it is npx scimseal; else the installed command", () => {
  expect(commandName({ npm_command: "exec" })).toBe("npx scimseal");
  expect(commandName({ npm_command: "start" })).toBe("npx scimseal");
  expect(commandName({ PATH: "/usr/bin" })).toBe("scimseal");
});
