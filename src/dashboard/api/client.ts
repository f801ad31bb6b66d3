// Requests to the audit API of the server that this page came from. The session is a cookie that no script can read; an
// error is a problem document (RFC 9457), kept whole, since its detail says what to do.

/** What went wrong with a request. `status` 0: there was no answer. */
export class ApiError extends Error {
  override name = "ApiError";
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, detail: string, options?: ErrorOptions) {
    super(detail, options);
    this.status = status;
    this.code = code;
  }
}

/** Query parameters; what is undefined or empty is left out. */
export type Query = Readonly<Record<string, string | number | undefined>>;

/** A path of this server with parameters. */
export function urlOf(path: string, query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    if (value !== undefined && value !== "") parameters.set(name, String(value));
  const text = parameters.toString();
  return text === "" ? path : `${path}?${text}`;
}

/** A path from segments that may hold anything. */
export function pathOf(...segments: readonly string[]): string {
  return `/${segments.map(encodeURIComponent).join("/")}`;
}

/** GET as JSON. The shape is the API's promise: its own tests hold it. @throws {ApiError} */
export async function getJson<Answer>(path: string, query?: Query, signal?: AbortSignal): Promise<Answer> {
  const response = await request(urlOf(path, query), signal ? { signal } : {});
  return (await response.json()) as Answer;
}

/** GET as text. @throws {ApiError} */
export async function getText(path: string, query?: Query): Promise<string> {
  return (await request(urlOf(path, query), { headers: { accept: "text/plain" } })).text();
}

/** POST or DELETE. @throws {ApiError} */
export async function send(method: "POST" | "DELETE", path: string, body?: unknown): Promise<void> {
  await request(path, {
    method,
    ...(body !== undefined && {
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    }),
  });
}

let onSignedOut: () => void = () => {};

/** Called whenever an answer says that there is no session any more. */
export function watchSignedOut(listener: () => void): void {
  onSignedOut = listener;
}

async function request(url: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, {
      credentials: "same-origin",
      ...init,
      headers: { accept: "application/json", ...init.headers },
    });
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
    throw new ApiError(0, "unreachable", "The server does not answer. It is tried again when you ask.", {
      cause,
    });
  }
  if (response.ok) return response;
  const error = await readProblem(response);
  if (error.status === 401 && !url.startsWith("/session")) onSignedOut();
  throw error;
}

async function readProblem(response: Response): Promise<ApiError> {
  const text = await response.text();
  try {
    const problem = JSON.parse(text) as { code?: unknown; detail?: unknown };
    return new ApiError(response.status, String(problem.code ?? "error"), String(problem.detail ?? text));
  } catch (cause) {
    return new ApiError(response.status, "error", `The server answered ${response.status}.`, { cause });
  }
}
