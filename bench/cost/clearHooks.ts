// For `node --import`: attachments are stored and read in clear, in every thread. Only the benchmark of sealing does this.

import { exchange } from "./exchange.ts";

exchange(/\/attachment(?:Seal|Open)\.ts$/, new URL("./clear.ts", import.meta.url));
