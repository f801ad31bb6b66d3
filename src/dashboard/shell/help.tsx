// The keyboard's help, and the switch that turns single keys off.

import { Dialog } from "../parts/dialog.tsx";
import { SHORTCUTS } from "./keyboard.ts";
import { useSetting } from "./settings.ts";

/** The dialog. */
export function Help({ isOpen, close }: { isOpen: boolean; close: () => void }) {
  const [shortcuts, setShortcuts] = useSetting("shortcuts");
  return (
    <Dialog title="Keyboard" isOpen={isOpen} close={close}>
      <dl class="keys">
        {SHORTCUTS.map(([keys, what]) => (
          <div key={keys}>
            <dt>
              {keys.split(" ").map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <label class="switch">
        <input
          type="checkbox"
          checked={shortcuts !== "off"}
          onChange={(event) => setShortcuts(event.currentTarget.checked ? undefined : "off")}
        />
        <span>Single-key shortcuts</span>
      </label>
      <p class="fine">
        The search takes words (any name, address or id) or a SCIM filter such as{" "}
        <code>userName sw "ada" and effect eq "deactivate"</code>. The same by program:{" "}
        <a href="/audit/v1/">the audit API</a>.
      </p>
    </Dialog>
  );
}
