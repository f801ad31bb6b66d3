// Parts that load when they are first shown, so that the first page stays small.

import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ApiError } from "../api/client.ts";
import { asApiError } from "../api/useApi.ts";
import { Failure, Skeleton } from "./states.tsx";

/** A component that is loaded when it is first drawn. */
export function lazy<Props extends object>(
  load: () => Promise<{ default: ComponentType<Props> }>,
  rows = 8,
): ComponentType<Props> {
  let loaded: ComponentType<Props> | undefined;
  return function Lazy(props: Props) {
    const [, setRound] = useState(0);
    const [error, setError] = useState<ApiError>();
    useEffect(() => {
      if (loaded) return;
      let isGone = false;
      load().then(
        (module) => {
          loaded = module.default;
          if (!isGone) setRound((now) => now + 1);
        },
        // A newer version was installed meanwhile: its files have other names.
        (cause: unknown) => !isGone && setError(asApiError(cause)),
      );
      return () => {
        isGone = true;
      };
    }, []);
    const Loaded = loaded;
    if (Loaded) return <Loaded {...props} />;
    return error ? <Failure error={error} retry={() => location.reload()} /> : <Skeleton rows={rows} />;
  };
}
