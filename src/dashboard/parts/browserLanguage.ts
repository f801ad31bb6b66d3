// A browser that runs under a POSIX locale may call its language `en-US@posix`, which is no language tag (BCP 47): Intl
// throws a RangeError for it, and uPlot asks Intl while it loads. Such a browser is taken for an American one, as the rest
// of this page formats numbers anyway; every other keeps its language.

try {
  Intl.getCanonicalLocales(navigator.language);
} catch {
  // No tag: nothing else can be thrown here.
  Object.defineProperty(navigator, "language", { value: "en-US", configurable: true });
}
