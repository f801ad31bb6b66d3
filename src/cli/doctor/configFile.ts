// Which configuration `scimseal doctor` is about: the named one, or the one that lies in a data directory, as that of a
// demonstration does.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { DEFAULT_DATA_DIR } from "../ledgerSource.ts";

/** What `scimseal demo` names its configuration file in its data directory. */
const CONFIG_IN_DATA_DIR = "scimseal.yaml";

export interface PlaceOptions {
  config?: string;
  /** A data directory that holds its configuration file, such as the demonstration's. */
  dataDir?: string;
}

/** The file. Throws with what to say if it cannot be told. */
export function configFileOf({ config, dataDir }: PlaceOptions): string {
  if (config !== undefined && dataDir !== undefined)
    throw new Error("say either --config FILE or --data-dir DIR");
  if (config !== undefined) return config;
  const file = join(dataDir ?? DEFAULT_DATA_DIR, CONFIG_IN_DATA_DIR);
  if (existsSync(file)) return file;
  throw new Error(
    dataDir === undefined
      ? `say which installation: --config FILE, or --data-dir DIR of a demonstration (there is no ${file} here)`
      : `--data-dir ${dataDir}: there is no ${CONFIG_IN_DATA_DIR} in it; only a demonstration keeps its configuration there. Say --config FILE`,
  );
}
