// Who is calling, by address. X-Forwarded-For is believed only from configured proxies, and only as far back as they
// reach: the rightmost address that is not itself a trusted proxy. Everything left of it the client may have invented.
// The same with X-Forwarded-Proto: behind a TLS terminator nobody else knows how the client spoke.

import { isIP } from "node:net";

export type IsTrusted = (address: string) => boolean;

/** The client's address; the peer's own unless the peer is trusted to say otherwise. */
export function clientAddress(
  peer: string | undefined,
  forwardedFor: string | undefined,
  isTrusted: IsTrusted,
): string {
  let address = normalise(peer ?? "");
  const hops = (forwardedFor ?? "").split(",").map((hop) => hop.trim());
  while (hops.length > 0 && isIP(address) !== 0 && isTrusted(address)) {
    const hop = normalise(withoutPort(hops.pop() ?? ""));
    if (isIP(hop) === 0) break;
    address = hop;
  }
  return address;
}

/** How the client spoke: to this listener, or to the trusted terminator before it. */
export function clientProtocol(
  isEncrypted: boolean,
  peer: string | undefined,
  forwardedProto: string | undefined,
  isTrusted: IsTrusted,
): "http" | "https" {
  const said = forwardedProto?.split(",").at(-1)?.trim().toLowerCase();
  if ((said === "http" || said === "https") && isTrusted(normalise(peer ?? ""))) return said;
  return isEncrypted ? "https" : "http";
}

/** Some terminators add the port: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function withoutPort(hop: string): string {
  return (
    /^\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?$/.exec(hop)?.[1] ?? /^([0-9.]+):[0-9]{1,5}$/.exec(hop)?.[1] ?? hop
  );
}

function normalise(address: string): string {
  return address.startsWith("::ffff:") && isIP(address.slice(7)) === 4 ? address.slice(7) : address;
}
