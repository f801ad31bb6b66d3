/**
 * The schema read as a list of keys: path, type, default, description.
 *
 * The reference page, the `SCIMSEAL_*` overrides and the "did you mean" of an unknown key are all made from this list,
 * so none of them can fall behind the schema.
 */
import { z } from "zod";
import type { LeafMark } from "./leaves.ts";

/** How a key's value is written. */
export type KeyType = "object" | "map" | "list" | "text" | "number" | "boolean" | "path" | "secret";

/** One key of the configuration. */
export interface KeyOutline {
  /** Segments of the path; `<name>` stands for any name, `[]` for any place in a list. */
  path: readonly string[];
  type: KeyType;
  description: string;
  /** The default as JSON would write it; absent where there is none. */
  defaultValue?: unknown;
  /** Whether the file must say it (inside a thing that it does say). */
  required: boolean;
  /** The values it may take, where they are few. */
  choices?: readonly (string | number | boolean)[];
  /** Bounds of a number. */
  range?: readonly [min: number, max: number];
}

/** Lists every key below a schema, parents before children, in the order of the schema. */
export function outlineKeys(schema: z.core.$ZodType, path: readonly string[] = []): KeyOutline[] {
  const peeled = peel(schema);
  const own: KeyOutline[] = path.length === 0 ? [] : [describeKey(peeled, path)];
  if (peeled.mark !== undefined) return own;
  const { inner } = peeled;
  if (inner instanceof z.ZodObject) {
    const children = Object.entries(inner.shape as Record<string, z.core.$ZodType>); // zod types a shape of unknown keys loosely
    return own.concat(...children.map(([key, child]) => outlineKeys(child, [...path, key])));
  }
  if (inner instanceof z.ZodRecord) return own.concat(childrenOf(inner.valueType, [...path, "<name>"]));
  if (inner instanceof z.ZodArray) return own.concat(childrenOf(inner.element, [...path, "[]"]));
  return own;
}

/** The keys inside a record's or a list's item; the item itself is told by its parent. */
function childrenOf(schema: z.core.$ZodType, path: readonly string[]): KeyOutline[] {
  return outlineKeys(schema, path).filter((key) => key.path.length > path.length);
}

interface Peeled {
  inner: z.core.$ZodType;
  description: string;
  mark?: LeafMark;
  required: boolean;
  defaultValue?: unknown;
}

/** Takes off optional, default and transform wrappers, keeping what each of them said. */
function peel(schema: z.core.$ZodType): Peeled {
  const result: Peeled = { inner: schema, description: "", required: true };
  for (;;) {
    const meta = z.globalRegistry.get(result.inner);
    if (result.description === "" && meta?.description !== undefined) result.description = meta.description;
    if (result.mark === undefined && (meta?.mark === "secret" || meta?.mark === "path")) {
      result.mark = meta.mark;
    }
    const { inner } = result;
    if (inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault) {
      result.required = false;
      result.defaultValue = inner.def.defaultValue;
      result.inner = inner.def.innerType;
    } else if (inner instanceof z.ZodOptional || inner instanceof z.ZodExactOptional) {
      result.required = false;
      result.inner = inner.def.innerType;
    } else if (inner instanceof z.ZodPipe) {
      result.inner = inner.def.in;
    } else {
      return result;
    }
  }
}

function describeKey(peeled: Peeled, path: readonly string[]): KeyOutline {
  const { inner } = peeled;
  const key: KeyOutline = {
    path,
    type: peeled.mark ?? typeOf(inner),
    description: peeled.description,
    required: peeled.required,
  };
  if (peeled.defaultValue !== undefined && key.type !== "object" && key.type !== "map") {
    key.defaultValue = peeled.defaultValue;
  }
  if (inner instanceof z.ZodEnum) key.choices = inner.options;
  if (inner instanceof z.ZodLiteral) {
    key.choices = [...inner.values].filter(
      (value) => value !== null && typeof value !== "bigint" && value !== undefined,
    );
  }
  if (inner instanceof z.ZodNumber && inner.minValue !== null && inner.maxValue !== null) {
    key.range = [inner.minValue, inner.maxValue];
  }
  return key;
}

function typeOf(inner: z.core.$ZodType): KeyType {
  if (inner instanceof z.ZodObject) return "object";
  if (inner instanceof z.ZodRecord) return "map";
  if (inner instanceof z.ZodArray) return "list";
  if (inner instanceof z.ZodNumber) return "number";
  if (inner instanceof z.ZodBoolean) return "boolean";
  if (inner instanceof z.ZodLiteral) {
    const [value] = inner.values;
    return typeof value === "number" ? "number" : typeof value === "boolean" ? "boolean" : "text";
  }
  return "text";
}
