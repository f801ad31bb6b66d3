// For `node --import`: no tree is grown and no checkpoint signed. Only the benchmark of the tree does this.

import { exchange } from "./exchange.ts";

exchange(/\/publisher\/publisher\.ts$/, new URL("./noTree.ts", import.meta.url));
