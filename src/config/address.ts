/**
 * Addresses nobody may make this proxy call: link-local, cloud metadata, "this host", multicast, broadcast, reserved.
 *
 * The adversary is whoever can choose a host name: an administrator tricked into a target URL, a token issuer's key
 * URL, or a name whose DNS answer changes after the check (rebinding). So the rule is applied twice: to a literal
 * address when the configuration is read, and to every resolved address when a socket is opened.
 * Loopback and private networks (RFC 1918, RFC 4193) are allowed: applications on the premises are normal targets.
 */
import { lookup as dnsLookup, type LookupAddress, type LookupOptions } from "node:dns";
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

/** Thrown, or handed to the socket, for an address that is refused. `code` is fixed: the caller reports "not sent". */
export class TargetRefusedError extends Error {
  readonly code = "ETARGETREFUSED";

  constructor(host: string, reason: string) {
    super(`${host} is refused as an address to call: ${reason}`);
    this.name = "TargetRefusedError";
  }
}

type Range = readonly [cidr: string, reason: string];

const REFUSED_V4: readonly Range[] = [
  ["0.0.0.0/8", "it means this host itself (RFC 6890)"],
  ["169.254.0.0/16", "it is link-local, where cloud metadata services live (RFC 3927)"],
  ["100.100.100.200/32", "it is a cloud metadata service"],
  ["168.63.129.16/32", "it is a cloud platform's own service"],
  ["192.0.0.0/24", "it is reserved for protocol assignments, and holds a cloud metadata service (RFC 6890)"],
  ["224.0.0.0/4", "it is multicast (RFC 5771)"],
  ["240.0.0.0/4", "it is reserved or broadcast (RFC 1112)"],
];

const REFUSED_V6: readonly Range[] = [
  ["::/128", "it is the unspecified address (RFC 4291)"],
  ["fe80::/10", "it is link-local (RFC 4291)"],
  ["fec0::/10", "it is site-local, which is withdrawn (RFC 3879)"],
  ["ff00::/8", "it is multicast (RFC 4291)"],
  ["fd00:ec2::254/128", "it is a cloud metadata service"],
  ["fd20:ce::254/128", "it is a cloud metadata service"],
];

type Compiled = readonly { net: ipaddr.IPv4 | ipaddr.IPv6; bits: number; reason: string }[];

function compile(ranges: readonly Range[]): Compiled {
  return ranges.map(([cidr, reason]) => {
    const [net, bits] = ipaddr.parseCIDR(cidr);
    return { net, bits, reason };
  });
}

const COMPILED_V4 = compile(REFUSED_V4);
const COMPILED_V6 = compile(REFUSED_V6);

/**
 * Why an IP address may not be called, or undefined if it may.
 * `ip` is an address as text, in any spelling a resolver accepts; what is not an address is refused.
 */
export function refusedAddress(ip: string): string | undefined {
  if (!ipaddr.isValid(ip)) return "it is not an IP address";
  const address = ipaddr.parse(ip);
  if (address instanceof ipaddr.IPv4) return refusedV4(address);
  for (const { net, bits, reason } of COMPILED_V6) {
    if (net instanceof ipaddr.IPv6 && address.match(net, bits)) return reason;
  }
  const inner = embeddedV4(address);
  return inner === undefined ? undefined : refusedV4(inner);
}

function refusedV4(address: ipaddr.IPv4): string | undefined {
  for (const { net, bits, reason } of COMPILED_V4) {
    if (net instanceof ipaddr.IPv4 && address.match(net, bits)) return reason;
  }
  return undefined;
}

/**
 * The IPv4 address an IPv6 address carries, where a router or the kernel would unpack it: mapped and compatible
 * (RFC 4291 §2.5.5), NAT64 (RFC 6052), 6to4 (RFC 3056). Else a refused address would pass in another spelling.
 */
function embeddedV4(address: ipaddr.IPv6): ipaddr.IPv4 | undefined {
  const bytes = address.toByteArray();
  const zeros = (from: number, to: number) => bytes.slice(from, to).every((byte) => byte === 0);
  const mapped = zeros(0, 10) && bytes[10] === 0xff && bytes[11] === 0xff;
  // `::1` is loopback, not the compatible form of 0.0.0.1.
  const compatible = zeros(0, 12) && !zeros(12, 15);
  const nat64 = bytes[0] === 0 && bytes[1] === 0x64 && bytes[2] === 0xff && bytes[3] === 0x9b;
  if (mapped || compatible || nat64) return new ipaddr.IPv4(bytes.slice(12, 16));
  if (bytes[0] === 0x20 && bytes[1] === 0x02) return new ipaddr.IPv4(bytes.slice(2, 6));
  return undefined;
}

/**
 * Refuses a host that is itself an address on the list, in any spelling `new URL` reads as an address
 * (`2852039166`, `0xa9fea9fe`, `[::ffff:a9fe:a9fe]`, a trailing dot). A name passes: it is checked when it is resolved.
 * Call it before every dial, because a socket opened to a literal address never asks the lookup function.
 * @throws {TargetRefusedError}
 */
export function assertAllowedHost(hostname: string): void {
  const literal = literalAddress(hostname);
  if (literal === undefined) return;
  const reason = refusedAddress(literal);
  if (reason !== undefined) throw new TargetRefusedError(hostname, reason);
}

function literalAddress(hostname: string): string | undefined {
  const bare = hostname.startsWith("[") && hostname.endsWith("]") ? hostname.slice(1, -1) : hostname;
  if (isIP(bare) !== 0) return bare;
  const text = `http://${hostname}/`;
  if (!URL.canParse(text)) return undefined;
  const normal = new URL(text).hostname.replace(/^\[|\]$/g, "");
  return isIP(normal) !== 0 ? normal : undefined;
}

/** Whether a host (name or literal, brackets allowed) is this machine's loopback. A name counts only if it is `localhost`. */
export function isLoopbackHost(hostname: string): boolean {
  if (hostname.toLowerCase() === "localhost") return true;
  const literal = literalAddress(hostname);
  return literal !== undefined && ipaddr.process(literal).range() === "loopback";
}

/** The callback of a socket's `lookup` option. */
export type LookupCallback = (
  error: NodeJS.ErrnoException | null,
  address: string | LookupAddress[],
  family?: number,
) => void;

/** The shape of the `lookup` option of `net.connect`, `tls.connect`, `http.request` and undici's connector. */
export type Lookup = (hostname: string, options: LookupOptions, callback: LookupCallback) => void;

/** How a name is resolved to all of its addresses; `dns.lookup` unless a test says otherwise. */
export type ResolveAll = (
  hostname: string,
  options: LookupOptions & { all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/**
 * Makes a `lookup` that resolves a name once, to all its addresses, and fails with `ETARGETREFUSED` if **any** of them
 * is refused: one bad answer among good ones is an attack or a mistake, and the socket may try them in any order.
 * The socket dials what was checked, so a name that answers differently the next time gains nothing.
 */
export function createGuardedLookup(resolve: ResolveAll = dnsLookup): Lookup {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, []);
      for (const { address } of addresses) {
        const reason = refusedAddress(address);
        if (reason !== undefined) return callback(new TargetRefusedError(hostname, reason), []);
      }
      const first = addresses[0];
      if (first === undefined) {
        const missing: NodeJS.ErrnoException = new Error(`${hostname} has no address`);
        missing.code = "ENOTFOUND";
        return callback(missing, []);
      }
      if (options.all === true) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

/** The guarded lookup over the system's resolver. Pass it wherever a socket to a configured host is opened. */
export const guardedLookup: Lookup = createGuardedLookup();

/**
 * A test for membership in a list of networks (CIDR or single address), IPv4-mapped peers included.
 * Used to decide whether a peer is a trusted proxy. @throws {Error} if an entry is not a network.
 */
export function compileNetworks(networks: readonly string[]): (ip: string) => boolean {
  if (networks.length === 0) return () => false;
  const compiled = networks.map(parseNetwork);
  return (ip) => {
    if (!ipaddr.isValid(ip)) return false;
    const address = ipaddr.process(ip);
    return compiled.some(([net, bits]) => {
      if (address instanceof ipaddr.IPv4) return net instanceof ipaddr.IPv4 && address.match(net, bits);
      return net instanceof ipaddr.IPv6 && address.match(net, bits);
    });
  };
}

/** Reads `10.0.0.0/8`, `fd00::/8` or one address. @throws {Error} if it is neither. */
export function parseNetwork(text: string): [ipaddr.IPv4 | ipaddr.IPv6, number] {
  if (text.includes("/")) return ipaddr.parseCIDR(text);
  if (isIP(text) === 0) throw new Error(`${text} is neither an address nor a network`);
  const address = ipaddr.process(text);
  return [address, address.kind() === "ipv4" ? 32 : 128];
}
