// The places where a client can put a password, beyond the identity providers' documented shapes: any case, any schema
// prefix, escaped, with `value` before `path`, without a path, in Bulk, in a filter, in what gets refused.

/** One request; `{id}` is an existing user. */
export interface CanaryRequest {
  name: string;
  method: string;
  path: string;
  body?: string;
  headers?: Readonly<Record<string, string>>;
}

const CORE = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const PATCH_OP = '"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"]';
const BULK = '"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"]';

/** `canary` is letters and digits. `secret` attributes are configured: `secretAnswer` and `name.honorificPrefix`. */
export function canaryRequests(canary: string): CanaryRequest[] {
  let count = 0;
  const quoted = `\\"${canary}\\"`;
  const create = (name: string, members: string, more: Partial<CanaryRequest> = {}): CanaryRequest => ({
    name: `a user with ${name}`,
    method: "POST",
    path: "/Users",
    body: `{"schemas":["${CORE}"],"userName":"canary-${++count}@example.com",${members}}`,
    ...more,
  });
  const patch = (name: string, operation: string): CanaryRequest => ({
    name: `a PATCH with ${name}`,
    method: "PATCH",
    path: "/Users/{id}",
    body: `{${PATCH_OP},"Operations":[${operation}]}`,
  });
  const bulk = (name: string, operation: string): CanaryRequest => ({
    name: `a Bulk with ${name}`,
    method: "POST",
    path: "/Bulk",
    body: `{${BULK},"Operations":[${operation}]}`,
  });
  const read = (name: string, query: string): CanaryRequest => ({
    name: `a read with ${name}`,
    method: "GET",
    path: `/Users?${query}`,
  });
  return [
    create("password", `"password":"${canary}"`),
    create("PASSWORD", `"PASSWORD":"${canary}"`),
    create("pAssWord", `"pAssWord":"${canary}"`),
    create("an escaped name", `"p\\u0061ssword":"${canary}"`),
    create("a full-width name", `"ｐａｓｓｗｏｒｄ":"${canary}"`),
    create("a zero-width space in the name", `"pass\u200bword":"${canary}"`),
    create("a URN-qualified name", `"${CORE}:password":"${canary}"`),
    create("a URN-qualified name in capitals", `"${CORE.toUpperCase()}:PASSWORD":"${canary}"`),
    create("its schema as an object", `"${CORE}":{"password":"${canary}"}`),
    create("an extension's password", `"${ENTERPRISE}":{"Password":"${canary}"}`),
    create("an unknown extension's password", `"urn:x:y:2.0:User":{"a":[{"password":"${canary}"}]}`),
    create("a password that is an object", `"password":{"value":"${canary}","type":"initial"}`),
    create("a password that is a list", `"password":["${canary}",{"value":"${canary}"}]`),
    create("a password full of escapes", `"password":"\\u0022${canary}\\\\\\n\\/"`),
    create("a password full of odd characters", `"password":"ä<&'😀${canary}>\u2028"`),
    create("a configured attribute", `"secretAnswer":"${canary}"`),
    create("a configured attribute in capitals", `"SECRETANSWER":"${canary}"`),
    create("a configured sub-attribute", `"name":{"familyName":"X","honorificPrefix":"${canary}"}`),
    create("a configured dotted attribute", `"name.honorificPrefix":"${canary}"`),
    create("a document in a string", `"notes":"{\\"password\\":${quoted}}"`),
    create("a password and a query", `"password":"${canary}"`, { path: `/Users?password=${canary}` }),
    create("a filter in its query", `"active":true`, {
      path: `/Users?filter=password%20eq%20%22${canary}%22`,
    }),
    {
      name: "a PUT",
      method: "PUT",
      path: "/Users/{id}",
      body: `{"schemas":["${CORE}"],"id":"{id}","userName":"canary-put@example.com","password":"${canary}"}`,
    },
    patch("a path", `{"op":"replace","path":"password","value":"${canary}"}`),
    patch("value before path", `{"value":"${canary}","path":"password","op":"replace"}`),
    patch("a path in capitals", `{"op":"Replace","path":"PASSWORD","value":"${canary}"}`),
    patch("names in capitals", `{"OP":"replace","VALUE":"${canary}","PATH":"password"}`),
    patch("a URN path", `{"op":"replace","path":"${CORE}:password","value":"${canary}"}`),
    patch("a path with spaces around", `{"op":"replace","path":" password ","value":"${canary}"}`),
    patch("a path with a sub-attribute", `{"op":"replace","path":"password.value","value":"${canary}"}`),
    patch("a value that is an object", `{"op":"replace","path":"password","value":{"value":"${canary}"}}`),
    patch("a value that is a list", `{"op":"replace","path":"password","value":[{"value":"${canary}"}]}`),
    patch("no path", `{"op":"replace","value":{"password":"${canary}","active":true}}`),
    patch("no path and a URN key", `{"op":"replace","value":{"${CORE}:password":"${canary}"}}`),
    patch("no path and a list", `{"op":"add","value":[{"password":"${canary}"}]}`),
    patch("a filter on it", `{"op":"remove","path":"emails[password eq ${quoted}].value"}`),
    patch("a filter inside it", `{"op":"remove","path":"password[value eq ${quoted}]"}`),
    patch(
      "a filter in a key",
      `{"op":"replace","value":{"emails[password eq ${quoted}].value":"x@y.example"}}`,
    ),
    patch("a path that is a list", `{"op":"replace","path":["password"],"value":"${canary}"}`),
    patch("a configured path", `{"op":"replace","path":"secretAnswer","value":"${canary}"}`),
    patch("a configured dotted path", `{"op":"replace","path":"name.honorificPrefix","value":"${canary}"}`),
    patch(
      "a configured path to the parent",
      `{"op":"replace","path":"name","value":{"honorificPrefix":"${canary}"}}`,
    ),
    bulk(
      "a user",
      `{"method":"POST","path":"/Users","bulkId":"a","data":{"userName":"b1","password":"${canary}"}}`,
    ),
    bulk(
      "data first",
      `{"data":{"PassWord":"${canary}","userName":"b2"},"bulkId":"b","path":"/Users","method":"POST"}`,
    ),
    bulk(
      "a PATCH",
      `{"method":"PATCH","path":"/Users/{id}","data":{${PATCH_OP},"Operations":[{"value":"${canary}","op":"replace","path":"password"}]}}`,
    ),
    bulk(
      "data as text",
      `{"method":"POST","path":"/Users","bulkId":"c","data":"{\\"password\\":${quoted}}"}`,
    ),
    bulk("data as broken text", `{"method":"POST","path":"/Users","bulkId":"d","data":"password=${canary}"}`),
    read("a filter", `filter=password%20eq%20%22${canary}%22`),
    read("a bare filter", `filter=password+eq+"${canary}"`),
    read("a filter in capitals", `filter=PASSWORD%20EQ%20%22${canary}%22`),
    read("a URN filter", `filter=${CORE}%3Apassword%20eq%20%22${canary}%22`),
    read("a filter with an encoded name", `filter=%70assword%20eq%20%22${canary}%22`),
    read("a filter of two parts", `filter=userName%20eq%20%22a%22%20or%20password%20eq%20%22${canary}%22`),
    read("a broken filter", `filter=password%20eq%20%22${canary}`),
    read("a filter inside brackets", `filter=emails%5Bpassword%20eq%20%22${canary}%22%5D`),
    read("a parameter of that name", `password=${canary}`),
    read("a token in its query", `access_token=${canary}&count=1`),
    {
      name: "a search that is none, by its spelling",
      method: "POST",
      path: "/Users/.Search",
      body: `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"filter":"password eq ${quoted}"}`,
    },
    {
      name: "a search",
      method: "POST",
      path: "/Users/.search",
      body: `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"filter":"password eq ${quoted}"}`,
    },
    // What is refused is looked at too, and must leave as little behind.
    create("a name twice", `"password":"${canary}","password":"${canary}"`),
    create("an end that is missing", `"password":"${canary}"`, {
      body: `{"userName":"x","password":"${canary}`,
    }),
    create("no quotes", `"password":"x"`, { body: `{"userName":"x","password":${canary}}` }),
    create("another media type", `"password":"${canary}"`, { headers: { "content-type": "text/plain" } }),
    create("a form's media type", "", {
      body: `userName=x&password=${canary}`,
      headers: { "content-type": "application/x-www-form-urlencoded" },
    }),
    create("a coding", `"password":"${canary}"`, { headers: { "content-encoding": "gzip" } }),
    create("a hidden method", `"password":"${canary}"`, { headers: { "x-http-method-override": "PUT" } }),
    create("another id", "", {
      method: "PUT",
      path: "/Users/{id}",
      body: `{"id":"other","password":"${canary}"}`,
    }),
    create("a size above the limit", `"password":"${canary}","title":"${"t".repeat(1_100_000)}"`),
    create("a method nobody knows", `"password":"${canary}"`, { method: "PURGE" }),
    create("a path that is not canonical", `"password":"${canary}"`, { path: `/Users//${canary}` }),
    create("a connector that is not there", `"password":"${canary}"`, {
      path: `/../../../other/scim/v2/Users`,
    }),
    // Credentials that are wrong are somebody's right ones elsewhere.
    create("a wrong bearer token", `"active":true`, { headers: { authorization: `Bearer ${canary}` } }),
    create("a wrong Basic password", `"active":true`, {
      headers: { authorization: `Basic ${Buffer.from(`admin:${canary}`).toString("base64")}` },
    }),
    create("a broken credential", `"active":true`, { headers: { authorization: canary } }),
    create("headers that are nobody's business", `"active":true`, {
      headers: { "x-api-key": canary, cookie: `session=${canary}`, "proxy-authorization": `Basic ${canary}` },
    }),
  ];
}
