// The few things of a browser that the page uses, as types. The server's code is checked without the browser's own
// types, so that nobody there uses a window by mistake; this is all the page needs of them.

export interface PageFile {
  readonly name: string;
  readonly size: number;
  stream(): ReadableStream<Uint8Array>;
  text(): Promise<string>;
}

export interface PageEvent {
  preventDefault(): void;
  readonly dataTransfer?: { readonly files: ArrayLike<PageFile> } | null;
}

export interface PageElement {
  textContent: string | null;
  className: string;
  hidden: boolean;
  disabled: boolean;
  checked: boolean;
  /** Of a text field a string, of a progress bar a number. */
  value: string | number;
  readonly files: ArrayLike<PageFile> | null;
  append(...children: (PageElement | string)[]): void;
  replaceChildren(...children: (PageElement | string)[]): void;
  setAttribute(name: string, value: string): void;
  addEventListener(type: string, listener: (event: PageEvent) => void): void;
  focus(): void;
}

export interface PageDocument {
  getElementById(id: string): PageElement | null;
  createElement(tag: string): PageElement;
}
