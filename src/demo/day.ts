// One working day of provisioning traffic, as a sequence of real requests: Okta, Entra in both dialects, five smaller providers,
// a Bulk, refusals. It promises only invented people, and the same requests for the same seed. It knows nothing of the proxy
// but its URLs, so it plays against a bare target too.

import { entraDay, entraShapes } from "./entra.ts";
import { oktaDay, oktaShapes } from "./okta.ts";
import { otherDay, otherShapes, refusedDay } from "./others.ts";
import { type DayLine, openPlayer, type Player, randomSeed } from "./player.ts";
import type { IdpShape } from "./shape.ts";

export type { DayLine } from "./player.ts";

/** Every documented shape of every provider. Names are unique. */
export const idpShapes: readonly IdpShape[] = [...oktaShapes, ...entraShapes, ...otherShapes];

/** Where the day is played. Okta and the smaller providers use `baseUrl` and `token`, Entra its own connector. */
export interface DayOptions {
  /** The SCIM base URL, such as https://scim.example.com/okta/scim/v2. */
  readonly baseUrl: string;
  readonly entraBaseUrl: string;
  readonly token: string;
  readonly entraToken: string;
  /** Decides passwords and user names; two days on one target need two seeds. Default: random. */
  readonly seed?: number;
  /** Set to false to leave out the requests that only a proxy refuses. Default true. */
  readonly behindProxy?: boolean;
}

/**
 * Plays the day, one request after the other, and yields a line for each as its answer arrives. It throws for no answer of
 * any kind: a line that is not `expected` is the only sign, with status 0 for no answer at all. Leaving the loop early
 * closes the connections.
 */
export async function* playDay(options: DayOptions): AsyncGenerator<DayLine, void> {
  const seed = options.seed ?? randomSeed();
  using players = new DisposableStack();
  const opened = new Map<string, Player>();
  const play = (idp: string): Player => {
    const known = opened.get(idp);
    if (known !== undefined) return known;
    const isEntra = idp === "Entra";
    const player = openPlayer({
      idp,
      baseUrl: isEntra ? options.entraBaseUrl : options.baseUrl,
      token: isEntra ? options.entraToken : options.token,
      seed,
      shapes: idpShapes,
    });
    players.use(player);
    opened.set(idp, player);
    return player;
  };
  yield* oktaDay(play("Okta"));
  yield* entraDay(play("Entra"));
  yield* otherDay(play);
  if (options.behindProxy ?? true) yield* refusedDay(play);
}
