/** What the figures do not cover, shown beside every table. */

const always: readonly string[] = [
  "The client's own part of a call is in every time; it is the same for all, so it brings every ratio nearer to 1.",
  "Large values, retries, many waits at once, and what a reader of histories costs.",
  "Other engines.",
];

export const caveatsHere: readonly string[] = [
  "Nothing here ran at Cloudflare: it is the local runtime, on one machine, with the client on the same cores.",
  "What the emulator writes and calls: its objects cannot be wrapped from outside.",
  "The emulator with 10,000 steps (it stops at fewer), with webhooks, children and maps (it has none), after an eviction.",
  ...always,
];

export const caveatsThere: readonly string[] = [
  "What objects write, call and hold in memory, and the bytes on disk: objects cannot be looked into from outside. Rows and bytes are what the run's own meter says.",
  "An eviction on demand: cold figures are of runs that nobody called for 20 s, whose objects the platform may have let go.",
  "How soon a run resumes whose process was killed.",
  "Step 10,000 against step 10: a Worker's clock stands still while it computes.",
  "Start-up and bundle: `wrangler deploy` says both.",
  "The way through the network, other than by the round trip that is in the table: it is in every time.",
  ...always,
];
