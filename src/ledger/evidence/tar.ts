// The container of an evidence pack: POSIX ustar (IEEE Std 1003.1, pax, "ustar Interchange Format"), so that any tar
// opens it. Written with one spelling of a header: plain files, owner 0, time 0. Read strictly: each header is written
// again from the name and size it states and compared, so that links, devices, prefixes, odd paths, a second spelling
// of a size or bytes after the end are no pack. Pure; memory is one member at a time, and the reader's caller bounds it.

/** A file of the pack. */
export interface TarMember {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** What is read is no tar of this one spelling, or ends early. */
export class TarError extends Error {
  override name = "TarError";
}

const BLOCK = 512;
const MAX_NAME = 99;
/** Eleven octal digits. */
const MAX_SIZE = 8 ** 11 - 1;
const MAGIC_AT = 257;
const SIZE_AT = 124;
const CHECKSUM_AT = 148;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*(?:\/[A-Za-z0-9][A-Za-z0-9._-]*)*$/;

/** A header without name and size. The checksum is made over spaces in its own place. */
const TEMPLATE = makeTemplate();
const TEMPLATE_SUM = TEMPLATE.reduce((sum, byte) => sum + byte, 0);

/** Header block of a plain file. @throws {RangeError} for a name or size that a pack cannot have. */
export function formatTarHeader(name: string, size: number): Uint8Array {
  if (!isMemberName(name)) throw new RangeError(`a pack has no member of this name: ${JSON.stringify(name)}`);
  if (!Number.isSafeInteger(size) || size < 0 || size > MAX_SIZE)
    throw new RangeError(`a member of a pack cannot have ${size} bytes`);
  const block = TEMPLATE.slice();
  const sum = TEMPLATE_SUM + put(block, 0, name) + put(block, SIZE_AT, size.toString(8).padStart(11, "0"));
  put(block, CHECKSUM_AT, `${sum.toString(8).padStart(6, "0")}\0 `);
  return block;
}

/** A whole member: header, bytes, zeros up to a full block. */
export function* formatTarMember(name: string, bytes: Uint8Array): Generator<Uint8Array> {
  yield formatTarHeader(name, bytes.length);
  if (bytes.length > 0) yield bytes;
  const rest = bytes.length % BLOCK;
  if (rest > 0) yield new Uint8Array(BLOCK - rest);
}

/** What ends a tar: two blocks of zeros. */
export function formatTarEnd(): Uint8Array {
  return new Uint8Array(2 * BLOCK);
}

/** Whether the beginning of a file looks like a tar; for telling a pack from something else. */
export function looksLikeTar(start: Uint8Array): boolean {
  return (
    start.length >= BLOCK && new TextDecoder().decode(start.subarray(MAGIC_AT, MAGIC_AT + 5)) === "ustar"
  );
}

/**
 * The members of a tar in order. `limitOf` says how many bytes a member of this name may have; undefined refuses the
 * name. Throws TarError; what was given before is as it is in the tar.
 */
export async function* readTar(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  limitOf: (name: string) => number | undefined,
): AsyncGenerator<TarMember> {
  const source = new ByteSource(chunks);
  try {
    yield* readMembers(source, limitOf);
  } finally {
    // Also when the reader gives up in the middle: a file behind the chunks is closed.
    await source.close();
  }
}

async function* readMembers(
  source: ByteSource,
  limitOf: (name: string) => number | undefined,
): AsyncGenerator<TarMember> {
  for (;;) {
    const header = await source.take(BLOCK);
    if (isZero(header)) {
      if (!isZero(await source.take(BLOCK))) throw new TarError("the end of the pack is damaged");
      // Other programs fill up to a record of theirs: zeros are nothing.
      for (let more = await source.next(); more; more = await source.next())
        if (!isZero(more)) throw new TarError("there are bytes after the end of the pack");
      return;
    }
    const { name, size } = parseTarHeader(header);
    const limit = limitOf(name);
    if (limit === undefined) throw new TarError(`a pack has no member ${name}`);
    if (size > limit) throw new TarError(`${name} has ${size} bytes, and at most ${limit} are allowed`);
    const bytes = await source.take(size);
    const rest = size % BLOCK;
    if (rest > 0 && !isZero(await source.take(BLOCK - rest)))
      throw new TarError(`there are bytes behind the end of ${name}`);
    yield { name, bytes };
  }
}

function makeTemplate(): Uint8Array {
  const block = new Uint8Array(BLOCK);
  put(block, 100, "0000644\0");
  put(block, 108, "0000000\0");
  put(block, 116, "0000000\0");
  put(block, 136, "00000000000\0");
  put(block, CHECKSUM_AT, "        ");
  put(block, 156, "0");
  put(block, MAGIC_AT, "ustar\x0000");
  return block;
}

/** Returns the sum of the characters. */
function put(block: Uint8Array, at: number, text: string): number {
  let sum = 0;
  for (let i = 0; i < text.length; i++) {
    block[at + i] = text.charCodeAt(i);
    sum += text.charCodeAt(i);
  }
  return sum;
}

function parseTarHeader(block: Uint8Array): { name: string; size: number } {
  const end = block.indexOf(0);
  const name = String.fromCharCode(...block.subarray(0, Math.min(end < 0 ? 0 : end, MAX_NAME)));
  const digits = String.fromCharCode(...block.subarray(SIZE_AT, SIZE_AT + 11));
  if (!isMemberName(name) || !/^[0-7]{11}$/.test(digits))
    throw new TarError("a header of the tar is damaged");
  const size = Number.parseInt(digits, 8);
  const again = formatTarHeader(name, size);
  let isSame = true;
  for (let i = 0; i < BLOCK; i++) isSame &&= again[i] === block[i];
  if (!isSame)
    throw new TarError(`the header of ${name} is damaged, or is not that of a plain file of a pack`);
  return { name, size };
}

/** Letters, digits, dot, underscore and hyphen; no part begins with a dot, so none leads out of where it is unpacked. */
function isMemberName(name: string): boolean {
  return name.length <= MAX_NAME && NAME.test(name);
}

function isZero(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte !== 0) return false;
  return true;
}

/** Bytes in the amounts that are asked for, from chunks of any size; keeps no more than the chunk it is in. */
class ByteSource {
  readonly #iterator: AsyncIterator<Uint8Array> | Iterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);

  constructor(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>) {
    this.#iterator =
      Symbol.asyncIterator in chunks ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]();
  }

  /** Exactly so many bytes. */
  async take(count: number): Promise<Uint8Array> {
    if (this.#chunk.length >= count) return this.#cut(count);
    const parts: Uint8Array[] = [];
    let missing = count;
    while (missing > 0) {
      if (this.#chunk.length === 0) {
        const next = await this.next();
        if (!next) throw new TarError("the pack ends too early");
        this.#chunk = next;
      }
      const part = this.#cut(Math.min(missing, this.#chunk.length));
      parts.push(part);
      missing -= part.length;
    }
    const bytes = new Uint8Array(count);
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  /** What is left of the present chunk, else the next one; undefined at the end. */
  async next(): Promise<Uint8Array | undefined> {
    const left = this.#cut(this.#chunk.length);
    if (left.length > 0) return left;
    const { done, value } = await this.#iterator.next();
    return done === true ? undefined : value;
  }

  async close(): Promise<void> {
    await this.#iterator.return?.();
  }

  #cut(count: number): Uint8Array {
    const part = this.#chunk.subarray(0, count);
    this.#chunk = this.#chunk.subarray(count);
    return part;
  }
}
