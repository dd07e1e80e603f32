/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: the dashboard's icons: 16 by 16, in the colour of the text around them, and only decoration beside a text. */
import type { RunStatus } from "../../core/run/run.ts";

/** Each status has a shape of its own, so that colour is not the only difference. */
const shapes: Readonly<Record<RunStatus, string>> = {
  queued: "M8 2.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11M8 6v4M6 8h4",
  running: "M5.5 3.5v9l7-4.5z",
  waiting: "M4.5 2.5h7M4.5 13.5h7M5.5 2.5c0 3 5 4 5 5.5s-5 2.5-5 5.5M10.5 2.5c0 3-5 4-5 5.5s5 2.5 5 5.5",
  paused: "M5.5 3.5v9M10.5 3.5v9",
  completed: "M3 8.5l3.5 3.5L13 5",
  failed: "M4 4l8 8M12 4l-8 8",
  cancelled: "M8 2.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11M4.2 4.2l7.6 7.6",
};

const signs = {
  ...shapes,
  search: "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9M10.5 10.5L14 14",
  theme: "M8 2.5a5.5 5.5 0 1 0 0 11zM8 2.5a5.5 5.5 0 0 1 0 11",
  help: "M5.8 6a2.2 2.2 0 1 1 3.2 2c-.7.4-1 .8-1 1.5M8 12v.3",
  copy: "M5.5 5.5h7v8h-7zM3.5 10.5v-8h7",
  more: "M8 3.5v.1M8 8v.1M8 12.5v.1",
  next: "M6 3.5L10.5 8 6 12.5",
  back: "M10 3.5L5.5 8l4.5 4.5",
  down: "M3.5 6L8 10.5 12.5 6",
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  step: "M3.5 3.5h9v9h-9z",
  moon: "M12.5 9.5A5.500 5.500 0 0 1 6.500 3.500a5 5 0 1 0 6 6z",
  flag: "M4 14V2.500M4 3h8l-2 2.500 2 2.500H4",
  link: "M6.500 9.500l3-3M7 5l1.500-1.500a2.800 2.800 0 0 1 4 4L11 9M9 11l-1.500 1.500a2.800 2.800 0 0 1-4-4L5 7",
  tree: "M4 2.500v8.500h5M4 5.500h5M9 3.500h4v4H9zM9 9h4v4H9z",
  undo: "M5.500 3L2.500 6l3 3M3 6h6.500a3.500 3.500 0 0 1 0 7H6",
  lane: "M2.500 4h11M2.500 8h7M2.500 12h4",
  pen: "M3 13l.5-3L10.500 3 13 5.500 6 12.500zM9 4.500L11.500 7",
  close: "M4 4l8 8M12 4l-8 8",
  leave: "M9.5 3h-6v10h6M7 8h7M11.5 5.5L14 8l-2.5 2.5",
  warning: "M8 2.5l6 11H2zM8 6.5v3.5M8 12v.1",
  bolt: "M9 2L3.5 9H8l-1 5 5.5-7H8z",
} as const;

export type Sign = keyof typeof signs;

export function Icon({ sign }: { readonly sign: Sign }) {
  return (
    <svg class={`icon icon-${sign}`} width="16" height="16" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={signs[sign]} />
    </svg>
  );
}

/** A frond of kelp that stands on its holdfast. */
export const mark =
  "M12 22c0-5-2.5-6-2.5-10S12 7 12 2M12 9c2.5-.5 4-2 4.5-4.5M12 14c3 0 5-1.5 6-4M10.5 15.5c-2.5 0-4.5-1-5.5-3.5M5.5 22c2-.5 4-1.5 6.5-4 2.5 2.5 4.5 3.5 6.5 4";

export function Mark() {
  return (
    <svg class="mark" width="24" height="24" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={mark} />
    </svg>
  );
}
