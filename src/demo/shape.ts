// The form of one request that an identity provider sends, as data: the demo's day and the tests play the same catalogue.
// A body is the exact text that goes on the wire, spacing and key order included. It holds placeholders where a run differs.
// People are invented; passwords exist only as the placeholder {password}.

/** Whose dialect a shape is in. "SCIM" marks shapes of RFC 7644 itself that any of them may send, such as Bulk. */
export type Idp = "Okta" | "Entra" | "authentik" | "JumpCloud" | "OneLogin" | "SailPoint" | "Ping" | "SCIM";

/** One request of one identity provider. */
export interface IdpShape {
  /** Unique in the catalogue. */
  readonly name: string;
  readonly idp: Idp;
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Below the SCIM base URL, placeholders included: "/Users/{id}". */
  readonly path: string;
  /** As on the wire, without the question mark. */
  readonly query?: string;
  /** All but Authorization, Host and Content-Length. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Set where the proxy must refuse the request before any target sees it. */
  readonly refused?: true;
}

/** What the placeholders of a shape become. A value is put inside JSON strings and paths as it is, so it must need no escape. */
export interface ShapeValues {
  /** The resource in the path. */
  readonly id?: string;
  readonly groupId?: string;
  /** A second user: the manager, or the member that leaves as {id} comes. */
  readonly otherId?: string;
  readonly password?: string;
  /** Keeps the user names of two runs against one target apart. */
  readonly run?: string;
}

/** A shape made ready to send. */
export interface FilledShape {
  readonly method: string;
  /** Path and query, below the SCIM base URL. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

const DEFAULTS: Required<ShapeValues> = {
  id: "00000000-0000-4000-8000-000000000001",
  groupId: "00000000-0000-4000-8000-000000000002",
  otherId: "00000000-0000-4000-8000-000000000003",
  password: "not-a-real-password",
  run: "1",
};

/** Fills all placeholders; those without a value get a harmless fixed one, so that every shape can be sent as it is. */
export function fillShape(shape: IdpShape, values: ShapeValues = {}): FilledShape {
  const known: Required<ShapeValues> = { ...DEFAULTS, ...values };
  const fill = (text: string) =>
    text
      .replaceAll("{id}", known.id)
      .replaceAll("{groupId}", known.groupId)
      .replaceAll("{otherId}", known.otherId)
      .replaceAll("{password}", known.password)
      .replaceAll("{run}", known.run);
  return {
    method: shape.method,
    target: fill(shape.query === undefined ? shape.path : `${shape.path}?${shape.query}`),
    headers: shape.headers ?? {},
    ...(shape.body === undefined ? {} : { body: Buffer.from(fill(shape.body), "utf8") }),
  };
}
