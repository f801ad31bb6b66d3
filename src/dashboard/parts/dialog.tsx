// A modal dialog by the browser's own element: it keeps the focus inside, Escape closes it, and the focus goes back to
// where it was.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { Icon } from "./icons.tsx";

interface DialogProps {
  title: string;
  isOpen: boolean;
  close: () => void;
  /** sheet: along an edge, for filters on a phone. */
  kind?: "box" | "sheet";
  children: ComponentChildren;
}

/** Shows its children while it is open. */
export function Dialog({ title, isOpen, close, kind = "box", children }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  useEffect(() => {
    const dialog = ref.current;
    if (isOpen && dialog && !dialog.open) dialog.showModal();
    if (!isOpen && dialog?.open) dialog.close();
  }, [isOpen]);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: for the keyboard the browser closes it, by Escape.
    <dialog
      ref={ref}
      class={`dialog ${kind}`}
      aria-labelledby={titleId}
      onClose={close}
      onClick={(event) => {
        // The backdrop is the dialog's own area outside of its content.
        if (event.target === ref.current) close();
      }}
    >
      {isOpen && (
        <div class="dialog-body">
          <header class="dialog-head">
            <h2 id={titleId}>{title}</h2>
            <button type="button" class="icon-button" onClick={close} aria-label="Close">
              <Icon name="cross" />
            </button>
          </header>
          {children}
        </div>
      )}
    </dialog>
  );
}
