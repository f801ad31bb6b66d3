// What the Dockerfile would put into the image, laid out in a directory: its COPY lines under .dockerignore, and the
// packages that `npm ci --omit=dev --omit=optional` installs, read from the lockfile. There is no container here; what
// can go wrong with the image's contents and commands shows all the same.

import { cpSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** The instructions of the last stage. */
export interface Image {
  from: string[];
  env: Record<string, string>;
  user: string;
  volumes: string[];
  healthcheck: string[];
  entrypoint: string[];
  cmd: string[];
  /** Paths copied from the build context, as they are called there. */
  copied: string[];
  /** Paths below /app that an earlier stage made, packages aside. */
  made: string[];
  installs: string[];
}

/** Reads a Dockerfile of the forms that ours uses; throws at any other. */
export async function readDockerfile(file: string): Promise<Image> {
  const text = (await readFile(file, "utf8")).replace(/^#.*\n/gm, "").replace(/\\\n/g, " ");
  const image: Image = {
    from: [],
    env: {},
    user: "root",
    volumes: [],
    healthcheck: [],
    entrypoint: [],
    cmd: [],
    copied: [],
    made: [],
    installs: [],
  };
  for (const line of text.split("\n").filter((one) => one.trim() !== "")) {
    const space = line.indexOf(" ");
    apply(image, line.slice(0, space), line.slice(space + 1).trim());
  }
  return image;
}

function apply(image: Image, instruction: string, rest: string): void {
  switch (instruction) {
    case "FROM":
      image.from.push(rest.split(" ")[0] ?? "");
      image.copied = [];
      return;
    case "ENV":
      for (const pair of rest.split(" "))
        image.env[pair.slice(0, pair.indexOf("="))] = pair.slice(pair.indexOf("=") + 1);
      return;
    case "COPY":
      if (!rest.startsWith("--from")) image.copied.push(...rest.split(" ").slice(0, -1));
      else if (!rest.includes("node_modules"))
        image.made.push(rest.split(" ")[1]?.replace("/app/", "") ?? "");
      return;
    case "RUN":
      if (rest.startsWith("npm ")) image.installs.push(rest);
      return;
    case "USER":
      image.user = rest;
      return;
    case "VOLUME":
      image.volumes.push(rest);
      return;
    case "HEALTHCHECK":
      image.healthcheck = JSON.parse(rest.slice(rest.indexOf("["))) as string[];
      return;
    case "ENTRYPOINT":
      image.entrypoint = JSON.parse(rest) as string[];
      return;
    case "CMD":
      image.cmd = JSON.parse(rest) as string[];
      return;
    case "WORKDIR":
    case "EXPOSE":
      return;
    default:
      throw new Error(`the Dockerfile has an instruction that this test does not know: ${instruction}`);
  }
}

/** Paths of the packages that stay when development and optional ones are left out. */
export async function productionPackages(): Promise<string[]> {
  const lock = JSON.parse(await readFile("package-lock.json", "utf8")) as {
    packages: Record<string, { dev?: true; optional?: true; devOptional?: true }>;
  };
  return Object.entries(lock.packages)
    .filter(([path, entry]) => path !== "" && !entry.dev && !entry.optional && !entry.devOptional)
    .map(([path]) => path);
}

/** Lays the image's /app out in `directory`. Blocks meanwhile: the copy without callbacks takes a tenth of the time. */
export function layOut(image: Image, packages: readonly string[], directory: string): void {
  for (const path of [...image.copied, ...image.made])
    cpSync(path, join(directory, path), { recursive: true });
  for (const path of packages) {
    cpSync(path, join(directory, path), { recursive: true });
    // Packages inside packages have lines of their own in the lockfile, and come by those.
    rmSync(join(directory, path, "node_modules"), { recursive: true, force: true });
  }
}
