// Signing in. People come with a one-time link that an operator printed; this page takes one that was pasted, and says
// how to get one. There is no password to lose.

import { useState } from "preact/hooks";
import type { ApiError } from "../api/client.ts";
import { Icon, Mark } from "../parts/icons.tsx";

/** Asks for a sign-in link. */
export function SignIn({
  signIn,
  problem,
}: {
  signIn: (code: string) => Promise<void>;
  problem: ApiError | undefined;
}) {
  const [text, setText] = useState("");
  const [isBusy, setBusy] = useState(false);
  const submit = (event: Event) => {
    event.preventDefault();
    const code = text.trim().replace(/^.*#signin=/s, "");
    if (code === "") return;
    setBusy(true);
    void signIn(code).finally(() => setBusy(false));
  };
  return (
    <main class="sign-in">
      <div class="sign-in-box">
        <p class="brand">
          <Mark />
          scimseal
        </p>
        <h1>Sign in to the auditor’s desk</h1>
        <p>Open a one-time sign-in link, or paste it here. It works once, for fifteen minutes.</p>
        {problem && (
          <p class="form-error" role="alert">
            <Icon name="warning" />
            {problem.status === 401
              ? "This link does not work: it was used, is too old, or was not copied whole. Print a new one."
              : problem.message}
          </p>
        )}
        <form onSubmit={submit}>
          <label class="field">
            <span>Sign-in link</span>
            <input
              type="text"
              name="link"
              autocomplete="off"
              spellcheck={false}
              value={text}
              onInput={(event) => setText(event.currentTarget.value)}
              placeholder="https://…/#signin=…"
            />
          </label>
          <button type="submit" class="button primary wide" disabled={isBusy || text.trim() === ""}>
            {isBusy ? "Signing in…" : "Sign in"}
          </button>
        </form>
        <details class="how">
          <summary>Where do I get a link?</summary>
          <p>Whoever runs this instance prints one on its machine:</p>
          <pre class="command">
            <code>scimseal token signin --config FILE</code>
          </pre>
          <p>
            The demonstration prints one when it starts. For programs there are bearer tokens; see the{" "}
            <a href="/audit/v1/">audit API</a>.
          </p>
        </details>
      </div>
    </main>
  );
}
